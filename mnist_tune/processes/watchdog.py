"""Removes a folder, and kills the process group that works in it, when the process that made them is gone.

It runs as a script of its own, since whoever is killed by SIGKILL can clear up nothing. It reads lines from
its starter: a process group (0 for none) and a folder, each of which replaces the one before; an empty line
forgets it. It imports little before it reads: what it is told while it starts is done when it has.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path


CLEARING_UP_SECONDS = 1.0
"""How long an interpreter that ends waits for it; it goes on by itself if it takes longer."""


class Watchdog:
    """The process that watches. It ends when we do."""

    def __init__(self) -> None:
        self._process = _start_for(self)
        self._told = ""

    def watch(self, folder: Path, group: int = 0) -> None:
        """From now on, remove this folder and kill this group when we are gone. Both need not be there."""
        self._tell(f"{group} {folder}")

    def forget(self) -> None:
        """From now on, do nothing when we are gone."""
        self._tell("")

    def look(self) -> None:
        """Start the process anew if somebody has killed it. Call this often."""
        if self._process.poll() is not None:
            self._process = _start_for(self)
            self._tell(self._told)

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._told = line
        try:
            self._process.stdin.write(os.fsencode(f"{line}\n"))
            self._process.stdin.flush()
        except BrokenPipeError:
            self._process.wait()
            self.look()


def _start_for(owner: Watchdog) -> subprocess.Popen[bytes]:
    """Start the process that watches until its owner is gone, or the interpreter ends."""
    import subprocess
    import weakref

    process = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a signal for our group does not reach it
    )

    def end() -> None:
        assert process.stdin is not None
        process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(CLEARING_UP_SECONDS)

    weakref.finalize(owner, end)
    return process


def main() -> None:
    """Read lines to their end, then do what the last one says."""
    last = b""
    for line in sys.stdin.buffer:
        last = line.rstrip(b"\n")
    if not last:
        return
    number, _, folder = last.partition(b" ")
    if group := int(number):
        with suppress(ProcessLookupError, PermissionError):  # it has ended
            os.killpg(group, signal.SIGKILL)
    import shutil

    shutil.rmtree(os.fsdecode(folder), ignore_errors=True)


if __name__ == "__main__":
    main()
