"""Turns a storage URL into a hardened SQLAlchemy engine, and gives its clock and its lock."""

from __future__ import annotations

import os
import sqlite3
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from mnist_tune.errors import UserError
from mnist_tune.storage.filesystems import network_file_system
from mnist_tune.storage.named import DATABASES, named_storage
from mnist_tune.storage.timeouts import Deadline

# Measured with 48 workers on one file: 19 lock errors at 5 s, the driver's default, none at 120 s.
SQLITE_BUSY_SECONDS = 120
# Any constant will do: it names the one advisory lock under which schemas and studies are made.
POSTGRESQL_LOCK = 0x6D6E6973742D74


class UtcDateTime(TypeDecorator[datetime]):
    """A time in UTC, stored without a zone, as Optuna stores all of its times."""

    impl = sqlalchemy.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _: Any) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, _: Any) -> datetime | None:
        return utc(value)


def utc(stored: datetime | None) -> datetime | None:
    """A stored time, which has no zone, as a time in UTC."""
    return None if stored is None else stored.replace(tzinfo=UTC)


class utc_now(FunctionElement[datetime]):  # noqa: N801 - reads as the SQL function it is
    """The database's present time, as Optuna stores times: in UTC, without a zone."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(utc_now, "sqlite")
def _utc_now_sqlite(*_: Any, **__: Any) -> str:
    # Milliseconds, padded to the microseconds that SQLAlchemy writes: CURRENT_TIMESTAMP has whole seconds.
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"


@compiles(utc_now, "postgresql")
def _utc_now_postgresql(*_: Any, **__: Any) -> str:
    return "(clock_timestamp() AT TIME ZONE 'UTC')"


def storage_url(option: str | None = None) -> URL:
    """The storage to use: `option`, else $MNIST_TUNE_STORAGE, else an SQLite file in the current folder.

    Raises:
        UserError: it is not a URL, or names a database that is not supported.
    """
    return parse_url(*named_storage(option))


def parse_url(text: str, source: str, forms: str = DATABASES) -> URL:
    """The storage URL in `text`; errors call it by `source`, which says where it was written.

    `forms` are those that may be written there.

    Raises:
        UserError: it is not a URL, or names a database that is not supported.
    """
    text = text.strip()
    scheme, _, rest = text.partition("://")
    if rest.count("@") > 1 and not rest.startswith("/"):
        # Only a person can tell which '@' ends the password, so the error shows none of the text.
        raise UserError(
            f"{source}: has more than one '@'; write %40 for one that is part of a name or a password"
        )
    if scheme.startswith("sqlite") and rest and not rest.startswith("/"):
        raise UserError(f"{source}: SQLite has no user and no host; write sqlite:///FILE.db")
    try:
        url = make_url(text)  # the text of a secret's file ends with a newline
    except (sqlalchemy.exc.ArgumentError, ValueError):  # ValueError: a port that is no number
        # The text is not shown: a URL that cannot be parsed may still hold a password.
        raise UserError(f"{source}: is not a database URL; write {forms}") from None
    if url.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    if url.drivername in ("sqlite", "sqlite+pysqlite"):
        if not url.database or url.database == ":memory:":
            raise UserError(f"{source}: workers share a file, not memory; write sqlite:///FILE.db")
        if url.query:
            raise UserError(f"{source}: SQLite takes no options after '?'; write sqlite:///FILE.db")
        return url.set(drivername="sqlite")
    if url.drivername in ("http", "https"):
        raise UserError(
            f"{source}: names a head, and this needs the database itself; run it on the head's machine, "
            "with --storage sqlite:///FILE.db"
        )
    raise UserError(f"{source}: {url.drivername}:// is not supported; write {forms}")


def shown(url: URL) -> str:
    """The URL as it may be printed and stored: without password and options, which may hold one too."""
    url = url.set(query={})
    if url.drivername == "postgresql+psycopg":
        url = url.set(drivername="postgresql")
    return url.render_as_string(hide_password=True)


def open_engine(url: URL, *, create: bool = False) -> Engine:
    """An engine on the database at `url`; an SQLite file must exist unless `create` is set.

    Raises:
        UserError: the SQLite file cannot be there, or the PostgreSQL driver is missing.
    """
    if url.drivername == "sqlite":
        _check_sqlite_path(url, create)
    try:
        return sqlalchemy.create_engine(url, **engine_arguments(url, create=create))
    except ModuleNotFoundError:
        raise UserError(
            f"{shown(url)}: needs the PostgreSQL driver; run pip install 'mnist-tune[postgres]'"
        ) from None


def engine_arguments(url: URL, *, create: bool = False, deadline: Deadline | None = None) -> dict[str, Any]:
    """Arguments of `create_engine` that make an engine on this URL safe for many processes."""
    if url.drivername != "sqlite":
        from mnist_tune.storage.postgresql import connect  # users of SQLite need not have the driver

        creator = partial(connect, url, deadline or Deadline.of(create=create))
        # A second connection (a heartbeat during a write) is closed after use: servers limit their number.
        return {"creator": creator, "hide_parameters": True, "pool_size": 1}
    # rw, not rwc: opening a mistyped or deleted file must not create it anew.
    file = f"file:{quote(str(_sqlite_path(url)))}?mode={'rwc' if create else 'rw'}"
    # Not a closure: Optuna's storages can be pickled.
    return {"creator": partial(_open_file, file, create), "poolclass": FilePool}


class FilePool(QueuePool):
    """Connections to an SQLite file while it is the same file; SQLite itself writes on to a deleted one."""


@sqlalchemy.event.listens_for(FilePool, "connect")
def _remember_file(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
    path = Path(connection.execute("PRAGMA database_list").fetchone()[2])
    record.info["file"] = path, path.stat()


@sqlalchemy.event.listens_for(FilePool, "checkout")
def _check_file(_: sqlite3.Connection, record: ConnectionPoolEntry, __: object) -> None:
    path, opened = record.info["file"]
    try:
        same = os.path.samestat(path.stat(), opened)
    except OSError:
        same = False
    if not same:
        raise sqlalchemy.exc.DisconnectionError  # the pool then opens the file that is there now, if any


def lock(connection: Connection) -> None:
    """Begin the transaction with the database's write lock (SQLite) or our advisory lock (PostgreSQL)."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({POSTGRESQL_LOCK})")


def snapshot(connection: Connection) -> None:
    """Begin a read transaction: all its statements see the database as the first one does."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN")  # Python's driver begins one only at the first write
    else:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


def changes_of_tables(connection: Connection) -> int:
    """How often any process has changed the tables of an SQLite file; PostgreSQL does not count: 0."""
    if connection.dialect.name != "sqlite":
        return 0
    count: int = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    return count


def _sqlite_path(url: URL) -> Path:
    return Path(url.database or "").absolute()


def _check_sqlite_path(url: URL, create: bool) -> None:
    path = _sqlite_path(url)
    # Checked before anything else: a file server that is gone does not answer questions about its files.
    if network := network_file_system(path):
        raise UserError(
            f"{shown(url)}: lies on a network file system ({network}), where SQLite loses writes; "
            "name a file on a local disk, or use PostgreSQL for several machines"
        )
    try:
        is_file, has_folder = path.is_file(), path.parent.is_dir()
    except OSError as error:
        raise UserError(f"{shown(url)}: {error.strerror}; name another file") from None
    if not create and not is_file:
        raise UserError(
            f"{shown(url)}: no such file; correct --storage, "
            "or make a study with 'mnist-tune create-study SPEC'"
        )
    if not has_folder:
        raise UserError(f"{shown(url)}: the folder {path.parent} does not exist; create it first")


def _open_file(file: str, create: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(file, uri=True, timeout=SQLITE_BUSY_SECONDS, check_same_thread=False)
    if create:  # this mode stays with the file; a command that only reads must not change the file
        _use_write_ahead_log(connection)
    # Bytes that are no UTF-8 are read with a mark in their place; by default such a row cannot be read at
    # all.
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")
    connection.execute("PRAGMA synchronous=FULL")  # a finished trial survives a power cut
    return connection


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        return
    # The busy timeout does not cover this switch, which needs the file for itself for a moment.
    deadline = time.monotonic() + SQLITE_BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
