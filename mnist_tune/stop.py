"""SIGTERM and Ctrl-C as a request that the work in hand looks at; the handlers only set a flag."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType


class Interrupted(Exception):  # noqa: N818 - a request more than an error
    """The process was asked to stop."""


class StopRequest:
    """Whether the process was asked to stop, and how often."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.reason = "stopped"
        self.times = 0

    def listen(self) -> None:
        """Take over SIGTERM, Ctrl-C and the closing of the terminal. Call from the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def follow(self, descriptor: int) -> None:
        """Stop when the process that holds the other end of a pipe is gone, however it ended."""

        def wait_for_the_end() -> None:
            # Not through a file object: its lock, held here, would abort the interpreter's shutdown.
            while os.read(descriptor, 1):
                pass
            self.request("the process that started the worker is gone")

        threading.Thread(target=wait_for_the_end, name="stop-at-end-of-stream", daemon=True).start()

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    def request(self, reason: str) -> None:
        """Ask to stop."""
        self.reason = reason
        self.times += 1
        self._event.set()

    def wait(self, seconds: float) -> None:
        """Sleep, but wake at once when asked to stop."""
        self._event.wait(seconds)

    def check(self) -> None:
        """Raise Interrupted if asked to stop; called between batches."""
        if self._event.is_set():
            raise Interrupted(self.reason)

    def check_urgent(self) -> None:
        """Raise Interrupted if asked a second time: whoever asks twice does not want to wait."""
        if self.times > 1:
            raise Interrupted(self.reason)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.request(f"the worker was stopped by {signal.Signals(number).name}")
