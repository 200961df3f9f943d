"""SIGTERM and Ctrl-C as a request that the work in hand looks at; the handlers only set a flag."""

from __future__ import annotations

import signal
import threading
from types import FrameType


class Interrupted(Exception):  # noqa: N818 - a request more than an error
    """The process was asked to stop."""


class StopRequest:
    """Whether the process was asked to stop."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.reason = "stopped"

    def listen(self) -> None:
        """Take over SIGTERM and SIGINT. Call from the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float) -> None:
        """Sleep, but wake at once when asked to stop."""
        self._event.wait(seconds)

    def check(self) -> None:
        """Raise Interrupted if asked to stop; called between batches."""
        if self._event.is_set():
            raise Interrupted(self.reason)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.reason = f"the worker was stopped by {signal.Signals(number).name}"
        self._event.set()
