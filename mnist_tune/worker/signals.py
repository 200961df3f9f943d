"""Turns SIGTERM, Ctrl-C and SIGHUP into a request that the running work looks at.

One stop often comes in several ways: a service manager signals each process of a unit, a shell and the kernel
both report a closed terminal, and a parent passes on what it was told. All of them count as one.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""The signals that ask a process to stop."""
MOMENT = 0.5
"""Seconds within which several signals count as one request."""
BETWEEN_KEYS = 0.1
"""The seconds for Ctrl-C after Ctrl-C: people press it fast, but signals are passed on faster."""
LOOK_SECONDS = 0.05


class Interrupted(Exception):  # noqa: N818 - a request more than an error
    """The process was asked to stop."""


def ignored_signals() -> set[signal.Signals]:
    """The signals that this process ignores from its start: by nohup, or as a shell's background job."""
    return {number for number in SIGNALS if signal.getsignal(number) is signal.SIG_IGN}


def take_over(handler: Callable[[int, FrameType | None], object], ignored: set[signal.Signals]) -> None:
    """Call `handler` for each stop signal that is not in `ignored`. Call from the main thread."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN if number in ignored else handler)


def pass_on(descriptor: int, times: int) -> None:
    """Write to a pipe how often a process was asked to stop by now; repeating a number changes nothing."""
    with suppress(OSError):  # the process is gone already
        os.write(descriptor, bytes([times]))


class StopRequest:
    """Whether the process was asked to stop, and how often.

    It uses no locks: a signal's handler interrupts the very thread that may hold one.
    """

    def __init__(self) -> None:
        self.reason = "stopped"
        self._ignored = ignored_signals()
        self._counted = 0
        self._passed_on = 0
        self._last: tuple[int, float] | None = None
        """The last signal that was counted, and its time."""

    def listen(self) -> None:
        """Handle SIGTERM, Ctrl-C and the closing of the terminal. Call from the main thread."""
        take_over(self._on_signal, self._ignored)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle Ctrl-C within the block, in a process whose signals belong to somebody else.

        Only a main thread can; in another thread nothing changes.
        """
        is_main = threading.current_thread() is threading.main_thread()
        before = signal.getsignal(signal.SIGINT)
        # None: the handler is not Python's, so that it could not be put back.
        if not is_main or before in (signal.SIG_IGN, None):
            yield
            return
        signal.signal(signal.SIGINT, self._on_signal)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def follow(self, descriptor: int) -> None:
        """Stop when the process at the other end of a pipe asks for it, or is gone."""

        def wait_for_the_end() -> None:
            # A file object would have a lock; held here, it would abort the interpreter's shutdown.
            with suppress(OSError):  # an error is an end as well
                while told := os.read(descriptor, 64):
                    self._at_least(max(told), "the process that started the worker asked it to stop")
            self._at_least(1, "the process that started the worker is gone")

        threading.Thread(target=wait_for_the_end, name="stop-at-end-of-stream", daemon=True).start()

    @property
    def times(self) -> int:
        """How often a stop was requested: once means at the end of the epoch, twice means at once."""
        return max(self._counted, self._passed_on)

    @property
    def requested(self) -> bool:
        return self.times > 0

    def request(self, reason: str) -> None:
        """Request a stop, or a second, urgent one."""
        self.reason = reason
        self._counted += 1

    def wait(self, seconds: float) -> None:
        """Sleep for so many seconds, but wake at once when a stop is requested."""
        end = time.monotonic() + seconds
        while not self.requested and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_SECONDS))

    def check(self) -> None:
        """Raise Interrupted if a stop was requested; called between batches."""
        if self.requested:
            raise Interrupted(self.reason)

    def check_urgent(self) -> None:
        """Raise Interrupted if a stop was requested twice, which means at once."""
        if self.times > 1:
            raise Interrupted(self.reason)

    def _at_least(self, times: int, reason: str) -> None:
        """Take over another process's count: it is about the same stop that this process may know of."""
        if times > self.times:
            self.reason = reason
        self._passed_on = max(self._passed_on, times)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._last is not None:
            last, when = self._last
            if now - when < (BETWEEN_KEYS if last == number == signal.SIGINT else MOMENT):
                return
        self._last = number, now
        self.request(f"the worker was stopped by {signal.Signals(number).name}")
