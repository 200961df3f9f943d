"""Failures between a worker and its storage, made to happen to real databases."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest
import sqlalchemy
from sqlalchemy.engine import URL, Connection
from sqlalchemy.pool import PoolProxiedConnection

from mnist_tune.storage.guarded import GuardedStorage


@contextmanager
def away(storage: GuardedStorage) -> Iterator[None]:
    """Within the block nobody can write: an SQLite file is locked, PostgreSQL disconnects its clients."""
    url = storage.engine.url
    with _locked(storage) if url.drivername == "sqlite" else closed(url):
        yield


@contextmanager
def lost_answer(storage: GuardedStorage) -> Iterator[None]:
    """Make the next commit of something written succeed but raise an error, as if the answer was lost.

    Readers of the same storage, such as those of a head, commit too.
    """
    dialect = storage.engine.dialect
    commit = dialect.do_commit
    error = _worth_waiting_for(dialect.name)
    have_written: set[int] = set()

    def note(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip().startswith(("INSERT", "UPDATE", "DELETE")):
            have_written.add(id(connection.connection.dbapi_connection))

    with pytest.MonkeyPatch.context() as patch:

        def commit_and_fail(connection: PoolProxiedConnection) -> None:
            if id(connection.dbapi_connection) not in have_written:
                commit(connection)
                return
            patch.undo()
            commit(connection)
            raise error

        patch.setattr(dialect, "do_commit", commit_and_fail)
        sqlalchemy.event.listen(storage.engine, "before_cursor_execute", note)
        try:
            yield
        finally:
            sqlalchemy.event.remove(storage.engine, "before_cursor_execute", note)
    assert error.__traceback__ is not None, "nobody has asked"


def _worth_waiting_for(dialect: str) -> Exception:
    if dialect == "postgresql":
        return psycopg.OperationalError("the answer was lost")
    error = sqlite3.OperationalError("the answer was lost")
    error.sqlite_errorname = "SQLITE_BUSY"
    return error


@contextmanager
def _locked(storage: GuardedStorage) -> Iterator[None]:
    def lose_patience(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute("PRAGMA busy_timeout = 50")  # not two minutes

    sqlalchemy.event.listen(storage.engine, "checkout", lose_patience)
    try:
        with closing(sqlite3.connect(str(storage.engine.url.database), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
    finally:
        sqlalchemy.event.remove(storage.engine, "checkout", lose_patience)


@contextmanager
def closed(url: URL) -> Iterator[None]:
    """Within the block PostgreSQL lets nobody into this database; whoever is in it is put out."""
    server = url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS false")
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (url.database,)
        )
        try:
            yield
        finally:
            connection.execute(f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS true")
