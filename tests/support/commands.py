"""Runs `mnist-tune` and Python in processes of their own; a test's view of such a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_tune.processes import fork_server
from mnist_tune.processes.child_process import ChildProcess
from tests.support.specs import STUDIES

STORED = "studies.db"
"""The file name of the default storage for commands that tests run."""
LONGEST = 600
"""In seconds. The longest command, three epochs of MNIST, takes three minutes alone; others run beside it."""


@dataclass(frozen=True)
class Answer:
    """A command's output and exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Answer]


class Forked(subprocess.Popen[str]):
    """A module's `main` in a forked process, which starts faster; otherwise like `subprocess.Popen`."""

    def __init__(
        self, module: str, arguments: Sequence[str], folder: Path, environment: dict[str, str]
    ) -> None:
        fork_server.begin("tests.support.preload")
        out, err = os.pipe(), os.pipe()
        self._child = ChildProcess(
            "tests.support.child_functions:call_in",
            [str(folder), module],
            argv=["mnist-tune", *arguments],
            stdout=out[1],
            stderr=err[1],
            environment=environment,
        )
        try:
            self._child.start()
        finally:
            os.close(out[1])
            os.close(err[1])
        self.args = [module, *arguments]
        self.pid = self._child.pid
        self.stdin = None
        self.stdout, self.stderr = (os.fdopen(pipe[0], encoding="utf-8") for pipe in (out, err))
        self.returncode = None
        self.text_mode = True
        self._communication_started = False
        self._input: Any = None

    def poll(self) -> int | None:
        ending = self._child.poll()
        if ending is not None:
            assert ending.code is not None, "its fork server was killed"
            self.returncode = ending.code
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self._child.wait(timeout)
        if self.poll() is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return self.returncode


BY_EXEC: Mapping[str, str] = {}
"""The `environment` of a command that starts by exec, as users start it, so its children are its own."""

MAINS = {"mnist_tune": "mnist_tune.__main__", "tests.support.toy_worker": "tests.support.toy_worker"}
"""Where the `main` function is that `python -m` would run."""


def start_command(
    *arguments: str, folder: Path, url: str | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start `mnist-tune` in `folder`, which also has its default storage unless `url` names another."""
    return _start(["-m", "mnist_tune", *arguments], folder, url, environment)


def start_toy_worker(
    folder: Path,
    name: str = "tiny",
    seconds: float = 0.1,
    url: str | None = None,
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[str]:
    """Start a worker process whose trials only sleep."""
    return _start(["-m", "tests.support.toy_worker", name, str(seconds), *options], folder, url, environment)


def finish(process: subprocess.Popen[str], longest: float = LONGEST) -> subprocess.CompletedProcess[str]:
    """Wait for a started process, for so many seconds at most, and collect its output."""
    out, err = process.communicate(timeout=longest)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def run_command(
    *arguments: str, folder: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `mnist-tune` to its end."""
    return finish(start_command(*arguments, folder=folder, environment=environment))


def run_python(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in `folder`, in a process of its own that it may end as it likes."""
    return finish(_start(["-c", script], folder, None))


def _start(
    arguments: list[str], folder: Path, url: str | None, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start by fork if Python runs a module and no environment is given, else by exec."""
    needed = {"MNIST_TUNE_STORAGE": url or f"sqlite:///{folder}/studies.db"}
    option, module, *rest = arguments
    if option == "-m" and environment is None:
        return Forked(MAINS[module], rest, folder, dict(os.environ | needed))
    needed["PYTHONPATH"] = str(STUDIES.parent)  # for tests.support.toy_worker
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | needed | dict(environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
