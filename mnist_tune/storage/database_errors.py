"""What a database driver's error means, in one line that says what to do."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator

from optuna.exceptions import StorageInternalError
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.storage.engine import SQLITE_BUSY_SECONDS, shown
from mnist_tune.text.wording import first_line

SQLITE_REMEDIES = {
    sqlite3.SQLITE_BUSY: f"another process has held it for {SQLITE_BUSY_SECONDS} s; find and end that one",
    sqlite3.SQLITE_CANTOPEN: (
        "see that the file is there and that its folder can be written: SQLite needs that even to read"
    ),
    sqlite3.SQLITE_CORRUPT: (
        "put back a copy of the file; https://sqlite.org/recovery.html says how to save what is left in it"
    ),
    sqlite3.SQLITE_FULL: "free some space on the disk and try again; what was stored before is safe",
    sqlite3.SQLITE_IOERR: "see that the disk has space left and is healthy, then try again",
    sqlite3.SQLITE_READONLY: "let this user write to the file and its folder, or name another file",
}
TOO_MANY_CONNECTIONS = "53300"
NOT_ALLOWED = "42501"
POSTGRESQL_REMEDIES = {
    None: "see that the server runs, and that host, user and database are right",
    "25006": "name the primary server, or make the database writable",
    NOT_ALLOWED: "grant that to this user",
    "53100": "free some space on the server's disk and try again",
    "57P01": "it was ended on the server, or the server stops; try again",
    TOO_MANY_CONNECTIONS: "raise the server's max_connections, or run fewer workers",
}
"""Remedies by SQLSTATE; None stands for a connection that was never made and has no state."""
OTHERWISE = "'mnist-tune doctor' looks into it"
FAILURES = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
"""SQLite errors that are failures of a storage with a right name, and not the user's mistake."""


def driver_errors(error: BaseException) -> Iterator[DBAPIError]:
    """The driver's errors behind `error`; the one that happened first comes last.

    Optuna wraps them into a message that names no cause. Code that goes on in a session that has lost its
    connection gets an error of SQLAlchemy's, and the loss is that error's context, not its cause.
    """
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, DBAPIError):
            yield link
        of_the_storage = isinstance(link, SQLAlchemyError | StorageInternalError)
        link = link.__cause__ or (link.__context__ if of_the_storage else None)


def driver_error(error: BaseException) -> DBAPIError | None:
    """The driver's error that is at the bottom of `error`; None if there is none."""
    return next(reversed(list(driver_errors(error))), None)


def explain(error: DBAPIError) -> str:
    """What is wrong with the storage and what to do. The driver's first line is shown: it has no password."""
    if isinstance(error.orig, sqlite3.Error):
        if _code(error.orig) == sqlite3.SQLITE_NOTADB:
            return "is not an SQLite database; name another file"
        remedy = SQLITE_REMEDIES.get(_code(error.orig), OTHERWISE)
    else:
        remedy = POSTGRESQL_REMEDIES.get(sqlstate(error.orig), OTHERWISE)
    return f"cannot be used: {first_line(str(error.orig).strip())}; {remedy}"


def in_one_line(error: BaseException) -> str | None:
    """What is wrong with the storage and what to do; None if `error` does not come from a database driver."""
    cause = driver_error(error)
    return None if cause is None else f"the storage {explain(cause)}"


def opening_error(url: URL, error: DBAPIError) -> MnistTuneError:
    """What to raise when the storage at `url` cannot be opened: the user's mistake, or a failure."""
    failed = error.connection_invalidated or (
        isinstance(error.orig, sqlite3.Error) and _code(error.orig) in FAILURES
    )
    return (MnistTuneError if failed else UserError)(f"{shown(url)}: {explain(error)}")


def sqlstate(error: BaseException | None) -> str | None:
    """What PostgreSQL calls an error; None if it says nothing, or is not asked."""
    state: str | None = getattr(error, "sqlstate", None)
    full = re.search("too many (clients|connections)", str(error))  # the driver gives no state for it
    return TOO_MANY_CONNECTIONS if state is None and full else state


def _code(error: sqlite3.Error) -> int:
    # The low byte is the kind of error and the rest its circumstances. The driver's own errors have no code.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
