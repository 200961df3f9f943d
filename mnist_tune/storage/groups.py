"""An Optuna storage with plain transactions, of which several can be one: all of them stored, or none."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import orm

from mnist_tune.storage.engine import lock
from mnist_tune.storage.optuna_internals import ReadableStorage

OF_A_GROUP = "of_a_group"
"""The name of the savepoints in a group."""


class InGroup(Exception):  # noqa: N818 - no error: the same call is made again by itself
    """What was called cannot share a transaction."""


class GroupedStorage(ReadableStorage):
    """Optuna's storage, for statements of our own."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._groups: dict[int, orm.Session] = {}
        """The sessions of the groups that threads are in, by thread."""
        super().__init__(*arguments, **named)

    @contextmanager
    def group(self) -> Iterator[None]:
        """One transaction for all that this thread begins in the block; each of them is a savepoint of it.

        What was done in the block is stored at its end, or nothing of it. Methods of Optuna's, and those that
        take our locks, are not to be called in it: see `refuse_group`.
        """
        with self.transaction() as session:
            if self.engine.dialect.name == "sqlite":
                lock(session.connection())  # Python's driver begins no transaction for a savepoint
            self._groups[threading.get_ident()] = session
            try:
                yield
            finally:
                del self._groups[threading.get_ident()]

    def refuse_group(self) -> None:
        """Raise InGroup if this thread is in a group."""
        if threading.get_ident() in self._groups:
            raise InGroup

    @contextmanager
    def transaction(self) -> Iterator[orm.Session]:
        """One transaction, committed at the end of the block or rolled back by an exception in it."""
        if (whole := self._groups.get(threading.get_ident())) is not None:
            with _savepoint(whole):
                yield whole
            return
        session = self.scoped_session()
        try:
            yield session
            session.commit()
        except BaseException:
            session.rollback()
            raise
        finally:
            session.close()


@contextmanager
def _savepoint(session: orm.Session) -> Iterator[None]:
    """A block of which all is undone if it raises; SQLAlchemy's own compiles three statements for each."""
    connection = session.connection()
    connection.exec_driver_sql(f"SAVEPOINT {OF_A_GROUP}")
    try:
        yield
    except BaseException:
        connection.exec_driver_sql(f"ROLLBACK TO SAVEPOINT {OF_A_GROUP}")
        raise
    finally:
        connection.exec_driver_sql(f"RELEASE SAVEPOINT {OF_A_GROUP}")
