"""Tells failures of a storage that may pass from those that will not."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from mnist_tune.storage.database_errors import driver_errors
from mnist_tune.text.wording import first_line

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


def why_it_may_pass(error: Exception) -> str | None:
    """The database's message, in one line, if the same call may succeed later, else None."""
    if isinstance(error, PoolTimeout):  # all connections of this process are in use
        return first_line(str(error))
    failed = failure_that_may_pass(error)
    return None if failed is None else _said(failed)


def _said(error: DBAPIError) -> str:
    return first_line(str(error.orig).strip())
