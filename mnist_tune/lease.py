"""Keeps a claim alive while its trial runs, and tells the trial when the lease is gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from optuna.exceptions import UpdateFinishedTrialError


class LeaseLost(Exception):  # noqa: N818 - an outcome of an attempt more than an error
    """Another worker may have this cell by now: nothing more may be written for the attempt."""


class Lease:
    """A thread that calls `beat` every `interval` seconds; use as a context manager around the trial.

    Storage errors do not end it: it goes on trying, and the lease counts as lost once it could not be
    renewed for `grace_period` seconds, since from then on others may put the cell back.
    """

    def __init__(self, beat: Callable[[], None], interval: float, grace_period: float) -> None:
        self._beat = beat
        self._interval = interval
        self._grace_period = grace_period
        self._renewed = time.monotonic()
        self._refused = threading.Event()
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

    def check(self) -> None:
        """Raise LeaseLost if the lease is gone; called between batches, so it must cost nothing."""
        if self._refused.is_set() or time.monotonic() - self._renewed > self._grace_period:
            raise LeaseLost

    def _keep(self) -> None:
        while not self._over.wait(self._interval):
            asked = time.monotonic()
            try:
                self._beat()
            except UpdateFinishedTrialError:
                self._refused.set()
                return
            except Exception:  # whatever it is, a trial must not run on unwatched
                continue
            self._renewed = asked
