"""Copies a process's standard error to ours, and keeps its last lines."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

KEPT_BYTES = 4_000
KEPT_LINES = 20
WAIT_SECONDS = 1.0
"""How long to wait for the last output of a dead process, whose own children may go on writing."""


class LastWords:
    """A pipe for one process's standard error."""

    def __init__(self) -> None:
        self._reading, self.descriptor = os.pipe()
        self._tail = b""
        self._thread = threading.Thread(target=self._read, name="last-words", daemon=True)
        self._thread.start()

    def close_ours(self) -> None:
        """Close our copy of the writing end; call it once the process has its own."""
        os.close(self.descriptor)

    def lines(self) -> list[str]:
        """The last lines of a process that has ended."""
        self._thread.join(WAIT_SECONDS)
        lines = (line.strip() for line in self._tail.decode(errors="replace").splitlines())
        return [line for line in lines if line][-KEPT_LINES:]

    def _read(self) -> None:
        while content := os.read(self._reading, 1 << 16):
            self._tail = (self._tail + content)[-KEPT_BYTES:]
            with suppress(OSError):  # training goes on when the terminal is closed
                os.write(2, content)
        os.close(self._reading)
