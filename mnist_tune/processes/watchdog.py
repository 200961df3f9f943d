"""Kills a process group and removes its folder when the process that started them is gone.

It runs as a script of its own, since whoever is killed by SIGKILL can clear up nothing. It reads lines from
its starter: a process group and a folder, each of which replaces the one before; an empty line forgets it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path


class Watchdog:
    """The process that watches. It ends when we do."""

    def __init__(self) -> None:
        self._process = _start()

    def watch(self, group: int, folder: Path) -> None:
        """From now on, kill this group and remove this folder when we are gone."""
        self._tell(f"{group} {folder}")

    def forget(self) -> None:
        """From now on, do nothing when we are gone."""
        self._tell("")

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(os.fsencode(f"{line}\n"))
            self._process.stdin.flush()
        except BrokenPipeError:  # somebody has killed it
            self._process = _start()
            self._tell(line)


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a signal for our group does not reach it
    )


def main() -> None:
    """Read lines to their end, then do what the last one says."""
    last = b""
    for line in sys.stdin.buffer:
        last = line.rstrip(b"\n")
    if not last:
        return
    group, _, folder = last.partition(b" ")
    with suppress(ProcessLookupError, PermissionError):  # it has ended
        os.killpg(int(group), signal.SIGKILL)
    shutil.rmtree(os.fsdecode(folder), ignore_errors=True)


if __name__ == "__main__":
    main()
