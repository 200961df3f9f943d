"""Runs one `mnist-tune worker` in a process of an engine: starts it, stops it, waits for it.

Nothing here needs an engine. The worker is a process of its own, since it handles signals and has its own
exit code; it leaves when the engine's process is gone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mnist_tune.errors import STOPPED
from mnist_tune.text.visible import visible_lines
from mnist_tune.worker.pool import pooled_worker
from mnist_tune.worker.signals import pass_on


def start_worker(
    study: str,
    arguments: Sequence[str],
    environment: Mapping[str, str] | None = None,
    folder: str = "",
    *,
    piped: bool = False,
) -> subprocess.Popen[str]:
    """Start a worker; `environment` says where it finds its storage, unless that of this process does."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "mnist_tune", *pooled_worker(study), *arguments],
        env=os.environ | dict(environment or {}) | {"PYTHONUNBUFFERED": "1"},
        cwd=folder if folder and Path(folder).is_dir() else None,
        # It tells the worker when to stop; its end tells that the engine's process is gone.
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE if piped else None,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
        errors="replace",
    )


def say_stop(process: subprocess.Popen[str], times: int) -> None:
    """Ask a worker to leave: at the end of its epoch or, when `times` is 2, at once."""
    assert process.stdin is not None
    pass_on(process.stdin.fileno(), times)


class Left(NamedTuple):
    """How a worker left: its exit code, or minus the number of a signal, and its last line."""

    code: int
    last_line: str


class RemoteWorker:
    """A worker as an actor: `run` in one thread, while `stop` may be called in another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stops = 0
        self._process: subprocess.Popen[str] | None = None

    def is_placed(self) -> bool:
        """True, as soon as the engine has found a place for this actor: only then can it answer."""
        return True

    def run(
        self, study: str, arguments: Sequence[str], environment: Mapping[str, str], folder: str = ""
    ) -> Left:
        """Start the worker, print its lines to the engine's log, and wait for its end.

        `folder` is the command's current folder; the worker uses it too if this machine has it.
        """
        with self._lock:
            if self._stops:
                return Left(STOPPED, "stopped before it began")
            self._process = start_worker(study, arguments, environment, folder, piped=True)
        last = "it said nothing"
        assert self._process.stdout is not None
        for line in self._process.stdout:
            last = line.strip() or last
            with suppress(OSError):  # a full log must not end the worker
                print(*visible_lines(line), sep="\n", flush=True)  # noqa: T201 - to the engine's log
        return Left(self._process.wait(), last)

    def stop(self, times: int) -> None:
        """Ask the worker to leave: at the end of its epoch or, the second time, at once.

        `times` is how often it was asked by now; repeating a number changes nothing.
        """
        with self._lock:
            if times > self._stops:
                self._stops = times
                if self._process is not None:
                    say_stop(self._process, times)
