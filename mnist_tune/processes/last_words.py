"""What a process writes to its standard error: passed on to ours, and the end of it kept."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

KEPT_BYTES = 4_000
KEPT_LINES = 20
WAIT_SECONDS = 1.0
"""For the end of what was written by a process that has ended; something it started may write on."""


class LastWords:
    """A pipe whose writing end is for one process."""

    def __init__(self) -> None:
        self._reading, self.descriptor = os.pipe()
        self._tail = b""
        self._thread = threading.Thread(target=self._read, name="last-words", daemon=True)
        self._thread.start()

    def close_ours(self) -> None:
        """Call once the process has its own writing end."""
        os.close(self.descriptor)

    def lines(self) -> list[str]:
        """The last lines of a process that has ended."""
        self._thread.join(WAIT_SECONDS)
        lines = (line.strip() for line in self._tail.decode(errors="replace").splitlines())
        return [line for line in lines if line][-KEPT_LINES:]

    def _read(self) -> None:
        while content := os.read(self._reading, 1 << 16):
            self._tail = (self._tail + content)[-KEPT_BYTES:]
            with suppress(OSError):  # a terminal that is closed is no matter of the training's
                os.write(2, content)
        os.close(self._reading)
