"""Has the server end a process's connection before a statement or commit of it, whichever one names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy.engine import Connection, Engine


class Cut:
    """Counts what this process asks of PostgreSQL, and cuts its connection before the `fatal` of it."""

    def __init__(self, server: str, fatal: int | None = None) -> None:
        self.passed: list[str] = []
        self._server = server
        self._fatal = fatal

    def __str__(self) -> str:
        point = (
            "at no point"
            if not self.has_come
            else f"at point {self._fatal}, {self.passed[self._fatal or 0][:80]}"
        )
        return f"cut {point} of {len(self.passed)}"

    __repr__ = __str__

    @property
    def has_come(self) -> bool:
        """Whether so much was asked at all."""
        return self._fatal is not None and len(self.passed) > self._fatal

    @contextmanager
    def made(self) -> Iterator[None]:
        """Within this block."""
        listeners = (
            ("before_cursor_execute", self._statement),
            ("commit", self._commit),
            ("rollback", self._rollback),
        )
        for event, listener in listeners:
            sqlalchemy.event.listen(Engine, event, listener)
        try:
            yield
        finally:
            for event, listener in listeners:
                sqlalchemy.event.remove(Engine, event, listener)

    def _statement(self, connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        self._pass(connection, " ".join(statement.split()))

    def _commit(self, connection: Connection) -> None:
        self._pass(connection, "COMMIT")

    def _rollback(self, connection: Connection) -> None:
        self._pass(connection, "ROLLBACK")

    def _pass(self, connection: Connection, what: str) -> None:
        if connection.dialect.name != "postgresql":
            return
        self.passed.append(what)
        if len(self.passed) - 1 != self._fatal:
            return
        driver: Any = connection.connection.dbapi_connection
        with psycopg.connect(self._server, autocommit=True) as other:
            gone = other.execute("SELECT pg_terminate_backend(%s, 10000)", (driver.info.backend_pid,))
            assert gone.fetchone() == (True,)
