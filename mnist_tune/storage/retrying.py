"""Repeats a call to a storage that is away, for a limited time, until it answers."""

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
"""The database is locked, or the disk or a user's quota is full, which somebody may clear up."""


class StorageRetry:
    """Repeats a call to the storage, with growing pauses, until it answers or `seconds` have passed.

    The call must be safe to repeat. Only failures that may pass are waited for.
    """

    def __init__(self, seconds: float, log: Callable[[str], None], hurry: Callable[[], bool]) -> None:
        self._seconds = seconds
        self._log = log
        self._hurry = hurry
        """Whether somebody has asked for a quick end: then the next failure is final."""

    def __call__(self, call: Callable[[], T]) -> T:
        """Return the answer of `call`, which is repeated while the storage is away.

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
                # Random pauses, so that workers do not all ask at once; the last one ends when the time is
                # over.
                left = max(0.0, away_since + self._seconds - now)
                time.sleep(min(pause * random.uniform(0.5, 1.0), left))
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                if away_since is not None:
                    self._log(f"the storage answers again, after {time.monotonic() - away_since:.1f} s")
                return answer


def failure_that_may_pass(error: BaseException) -> DBAPIError | None:
    """The database's own error behind `error` if the same call may succeed later, else None."""
    return next(filter(_may_pass, driver_errors(error)), None)


def _may_pass(error: DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlstate is not None:
        return bool(sqlstate.startswith(TRANSIENT_SQLSTATES))
    if isinstance(error.orig, sqlite3.Error):
        name: str = getattr(error.orig, "sqlite_errorname", "")  # the driver's own errors have no name
        return name.startswith(TRANSIENT_SQLITE_ERRORS)
    # psycopg gives no state when the server could not be reached, or went away.
    return isinstance(error, OperationalError)


def in_a_line(error: Exception) -> str:
    """One line for a failure: the database's message if it is away, else the error's type and text."""
    failed = failure_that_may_pass(error)
    return first_line(f"{type(error).__name__}: {error}") if failed is None else _said(failed)


def _said(error: DBAPIError) -> str:
    return first_line(str(error.orig).strip())
