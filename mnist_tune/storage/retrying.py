"""Asking a storage that is away until it answers, for a while."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, OperationalError

from mnist_tune.errors import MnistTuneError
from mnist_tune.storage.database_errors import driver_errors
from mnist_tune.text.wording import first_line

T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0  # seconds
TRANSIENT_SQLSTATES = ("08", "40", "53", "57P", "55P03")
"""PostgreSQL: connection lost; serialization, deadlock; no resources; shut down; lock not available."""
TRANSIENT_SQLITE_ERRORS = (
    "SQLITE_BUSY",
    "SQLITE_LOCKED",
    "SQLITE_FULL",
    "SQLITE_IOERR_SHMSIZE",
    "SQLITE_IOERR_WRITE",
)
"""Locked; a full disk, which somebody may clear up: when it is opened, and by the quota of a user."""


class Patience:
    """Calls the storage again, with growing pauses, until it answers or `seconds` have passed.

    Only what may be repeated may be called, and only failures that may pass are waited for.
    """

    def __init__(self, seconds: float, log: Callable[[str], None], hurry: Callable[[], bool]) -> None:
        self._seconds = seconds
        self._log = log
        self._hurry = hurry
        """Whether somebody has run out of patience before: the next failure is final."""

    def __call__(self, call: Callable[[], T]) -> T:
        """The answer of `call`.

        Raises:
            MnistTuneError: the storage was away for too long.
        """
        away_since = None
        pause = FIRST_PAUSE
        while True:
            asked = time.monotonic()
            try:
                answer = call()
            except Exception as error:
                failed = failure_that_may_pass(error)
                if failed is None:
                    raise
                now = time.monotonic()
                if away_since is None:
                    away_since = asked
                    self._log(f"the storage does not answer ({_said(failed)}); asking again")
                if self._hurry() or now - away_since > self._seconds:
                    raise MnistTuneError(
                        f"the storage has not answered for {now - away_since:.0f} s: {_said(failed)}; "
                        "see to it, and start again: nothing that was stored is lost"
                    ) from error
                # Not all workers at the same moment, and once more when patience is about to end.
                left = max(0.0, away_since + self._seconds - now)
                time.sleep(min(pause * random.uniform(0.5, 1.0), left))
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                if away_since is not None:
                    self._log(f"the storage answers again, after {time.monotonic() - away_since:.1f} s")
                return answer


def failure_that_may_pass(error: BaseException) -> DBAPIError | None:
    """The database's own error behind `error`, if the same call may succeed a little later."""
    return next(filter(_may_pass, driver_errors(error)), None)


def _may_pass(error: DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlstate is not None:
        return bool(sqlstate.startswith(TRANSIENT_SQLSTATES))
    if isinstance(error.orig, sqlite3.Error):
        name: str = getattr(error.orig, "sqlite_errorname", "")  # the driver's own errors have none
        return name.startswith(TRANSIENT_SQLITE_ERRORS)
    # psycopg without a state: the server could not be reached, or went away.
    return isinstance(error, OperationalError)


def in_a_line(error: Exception) -> str:
    """What a storage's failure says, or what any other error is."""
    failed = failure_that_may_pass(error)
    return first_line(f"{type(error).__name__}: {error}") if failed is None else _said(failed)


def _said(error: DBAPIError) -> str:
    return first_line(str(error.orig).strip())
