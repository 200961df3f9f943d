"""SIGTERM and Ctrl-C as a request that the work in hand looks at; the handlers only count.

A stop is often told in several ways: a service manager signals each process of a unit, a shell and the kernel
both tell of a terminal that closes, and who started a process passes on what he was told. It is one stop.
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
"""By which a process is asked to stop."""
MOMENT = 0.5
"""Seconds in which several signals are one request."""
BETWEEN_KEYS = 0.1
"""The same for Ctrl-C and Ctrl-C, which people press fast; what hands one on is faster."""
LOOK_SECONDS = 0.05


class Interrupted(Exception):  # noqa: N818 - a request more than an error
    """The process was asked to stop."""


def ignored_signals() -> set[signal.Signals]:
    """Those that who started this process had it ignore: nohup, or a shell for its background jobs."""
    return {number for number in SIGNALS if signal.getsignal(number) is signal.SIG_IGN}


def take_over(handler: Callable[[int, FrameType | None], object], ignored: set[signal.Signals]) -> None:
    """Have `handler` called for each signal but those; these stay ignored. Call from the main thread."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN if number in ignored else handler)


def pass_on(descriptor: int, times: int) -> None:
    """Tell the process that follows the other end of a pipe how often it was asked to stop by now.

    To say the same again changes nothing.
    """
    with suppress(OSError):  # it is gone already
        os.write(descriptor, bytes([times]))


class StopRequest:
    """Whether the process was asked to stop, and how often.

    No locks here: a signal's handler interrupts the very thread that may hold one.
    """

    def __init__(self) -> None:
        self.reason = "stopped"
        self._ignored = ignored_signals()
        self._counted = 0
        self._passed_on = 0
        self._last: tuple[int, float] | None = None
        """The last signal that was counted, and when."""

    def listen(self) -> None:
        """Take over SIGTERM, Ctrl-C and the closing of the terminal. Call from the main thread."""
        take_over(self._on_signal, self._ignored)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take Ctrl-C over for a while, in a process whose signals belong to somebody else.

        Only a main thread can; in another one nothing changes.
        """
        is_main = threading.current_thread() is threading.main_thread()
        before = signal.getsignal(signal.SIGINT)
        # None: not installed by Python, so that nobody could put it back.
        if not is_main or before in (signal.SIG_IGN, None):
            yield
            return
        signal.signal(signal.SIGINT, self._on_signal)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def follow(self, descriptor: int) -> None:
        """Stop when the process that holds the other end of a pipe says so, or is gone, however it ended."""

        def wait_for_the_end() -> None:
            # Not through a file object: its lock, held here, would abort the interpreter's shutdown.
            with suppress(OSError):  # which is an end as well
                while told := os.read(descriptor, 64):
                    self._at_least(max(told), "the process that started the worker asked it to stop")
            self._at_least(1, "the process that started the worker is gone")

        threading.Thread(target=wait_for_the_end, name="stop-at-end-of-stream", daemon=True).start()

    @property
    def times(self) -> int:
        """How often: once is at the end of the epoch, twice at once."""
        return max(self._counted, self._passed_on)

    @property
    def requested(self) -> bool:
        return self.times > 0

    def request(self, reason: str) -> None:
        """Ask to stop, once more if that was asked before."""
        self.reason = reason
        self._counted += 1

    def wait(self, seconds: float) -> None:
        """Sleep, but wake at once when asked to stop."""
        end = time.monotonic() + seconds
        while not self.requested and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_SECONDS))

    def check(self) -> None:
        """Raise Interrupted if asked to stop; called between batches."""
        if self.requested:
            raise Interrupted(self.reason)

    def check_urgent(self) -> None:
        """Raise Interrupted if asked a second time: whoever asks twice does not want to wait."""
        if self.times > 1:
            raise Interrupted(self.reason)

    def _at_least(self, times: int, reason: str) -> None:
        """Take over what another process counts: it hears of the same stop as this one."""
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
