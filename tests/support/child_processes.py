"""Starts processes of ours, and gets their descriptions of themselves."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from mnist_tune.processes.child_process import ChildProcess, Ending
from tests.support.commands import LONGEST
from tests.support.specs import STUDIES

METHODS = ["forkserver", "spawn"]
START_ONE = """
from mnist_tune.processes import fork_server
from mnist_tune.processes.child_process import ChildProcess
fork_server.begin(fork_server.TRAINING)
child = ChildProcess("sys:exit", [7])
child.start()
print(child.wait(60))
"""


def command_line_of(pid: int) -> list[str]:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").rstrip("\0")
        return line.split("\0") if line else []  # empty for a process that has ended
    except OSError:
        return []


def told_by_a_child(target: str = "tell", **options: Any) -> dict[str, Any]:
    ours, theirs = multiprocessing.Pipe()
    child = ChildProcess(f"tests.support.child_functions:{target}", [theirs], **options)
    child.start()
    theirs.close()
    answer: dict[str, Any] = ours.recv()
    assert child.wait() == Ending(0)
    return answer


def run_python_in(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, in an interpreter of its own that has no fork server yet."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(STUDIES.parent)} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST,
    )
