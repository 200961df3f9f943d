"""Keeps a claim alive while its trial runs, and tells the trial when the lease is gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from mnist_tune.contract.study import LeaseLost
from mnist_tune.errors import MnistTuneError
from mnist_tune.text.wording import first_line


class Lease:
    """Whether this process still holds its claim, as far as it can know.

    The lease counts as lost once it could not be renewed for `grace_period` seconds, since from then on other
    workers may put the cell back.
    """

    def __init__(self, grace_period: float) -> None:
        self.grace_period = grace_period
        self._renewed = time.monotonic()
        self._refused = False

    def renew(self, write: Callable[[], None]) -> None:
        """Run `write`, which only the holder of the lease may do; its success renews the lease.

        Raises:
            LeaseLost: `write` was refused with it. Other errors of `write` do not touch the lease.
        """
        asked = time.monotonic()
        try:
            write()
        except LeaseLost:
            self._refused = True
            raise
        self._renewed = max(asked, self._renewed)

    def check(self) -> None:
        """Raise LeaseLost if the lease is gone. Called for every batch, so it must cost next to nothing."""
        if self._refused or time.monotonic() - self._renewed > self.grace_period:
            raise LeaseLost


class Heartbeat:
    """A thread that calls `beat` every `interval` seconds; use as a context manager.

    An error of `beat` does not end the thread: a worker must not go on without heartbeats because the storage
    failed once. Each new problem is told to `log` once, until a beat succeeds.
    """

    def __init__(self, beat: Callable[[], None], interval: float, log: Callable[[str], None]) -> None:
        self._beat = beat
        self._interval = interval
        self._log = log
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _keep(self) -> None:
        told = None
        while not self._over.wait(self._interval):
            try:
                self._beat()
            except Exception as error:  # whatever the error is, the next beat may succeed
                said = str(error) if isinstance(error, MnistTuneError) else f"{type(error).__name__}: {error}"
                problem = first_line(said)
                if problem != told:
                    self._log(f"the heartbeat failed ({problem}); trying again")
                told = problem
            else:
                if told is not None:
                    self._log("the heartbeat goes on")
                told = None
