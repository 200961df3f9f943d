"""Keeps a claim alive while its trial runs, and tells the trial when the lease is gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from optuna.exceptions import UpdateFinishedTrialError

from mnist_tune.storage.retrying import in_a_line


class LeaseLost(Exception):  # noqa: N818 - an outcome of an attempt more than an error
    """Another worker may have this cell by now: nothing more may be written for the attempt."""


class Lease:
    """Whether the claim is still ours, as far as this process can know.

    It counts as lost once it could not be renewed for `grace_period` seconds, since from then on others may
    put the cell back.
    """

    def __init__(self, grace_period: float) -> None:
        self._grace_period = grace_period
        self._renewed = time.monotonic()
        self._refused = False

    def renew(self, write: Callable[[], None]) -> None:
        """Make a write that only the holder of the lease may make.

        Raises:
            LeaseLost: it was refused. What else `write` raises says nothing of the lease.
        """
        asked = time.monotonic()
        try:
            write()
        except UpdateFinishedTrialError:
            self._refused = True
            raise LeaseLost from None
        self._renewed = max(asked, self._renewed)

    def check(self) -> None:
        """Raise LeaseLost if the lease is gone; called all the time, so it must cost nothing."""
        if self._refused or time.monotonic() - self._renewed > self._grace_period:
            raise LeaseLost


class Heartbeat:
    """A thread that calls `beat` every `interval` seconds; use as a context manager.

    Nothing that `beat` raises ends it: a worker must not go on unwatched because the storage failed once. It
    is told to `log`, once until a beat comes through.
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
            except Exception as error:  # whatever it is, the next beat may do better
                problem = in_a_line(error)
                if problem != told:
                    self._log(f"the heartbeat failed ({problem}); trying again")
                told = problem
            else:
                if told is not None:
                    self._log("the heartbeat goes on")
                told = None
