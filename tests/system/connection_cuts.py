"""Has the server end this process's connection before a chosen statement or commit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import sqlalchemy
from psycopg.sql import SQL, Identifier
from sqlalchemy.engine import Connection, Engine

from mnist_tune.worker.trial import Trial
from tests.support.made_studies.epochs import made_epoch
from tests.support.specs import TWO_CELLS


class Cut:
    """Counts this process's requests to PostgreSQL, and cuts its connection before number `fatal`."""

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
        """Whether the process came as far as the cut."""
        return self._fatal is not None and len(self.passed) > self._fatal

    @contextmanager
    def made(self) -> Iterator[None]:
        """Count, and cut, within the block."""
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


SAMPLED_SPEC = """
[study]
name = "tiny"

[search]
sampler = "tpe"
n_trials = 6
n_startup_trials = 2

[search.space]
learning_rate = {low = 0.0001, high = 0.1, log = true}
optimizer = ["Adam", "SGD"]

[pruner]
name = "median"
n_startup_trials = 1

[training]
epochs = 3

[data]
train_size = 200
validation_size = 100

[retry]
non_finite = 0

[lease]
grace_period = 3600
"""

GRID_SPEC = TWO_CELLS.replace("tiny", "grid") + "\n[training]\nepochs = 1\n"

POINTS = pytest.mark.parametrize(
    "most",
    [
        pytest.param(3, id="some"),
        pytest.param(12, id="many", marks=pytest.mark.slow),
        pytest.param(40, id="all", marks=[pytest.mark.slow, pytest.mark.campaign]),
    ],
)
"""The most points at which a connection is cut: 40 are all points of a short command."""


def some_points(whole: Cut, most: int) -> list[int]:
    """So many points of a run without a cut, evenly from the first to the last."""
    last = len(whole.passed) - 1
    n = min(most, last + 1)
    return [round(last * index / (n - 1)) for index in range(n)]


def fresh_database(server: str, name: str, like: str = "template1") -> str:
    """Make a database anew, as a copy of the database `like`; returns its URL."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))
        connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s", (like,)
        )
        connection.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(like)))
    return server.removesuffix("postgres") + name


def train_three_epochs(trial: Trial) -> float:
    """A job of three epochs whose accuracies differ from trial to trial."""
    accuracy = 0.0
    for number in range(1, 4):
        accuracy = 40.0 + number - 5 * (trial.claim.number % 3)
        trial.epoch_done(made_epoch(number, accuracy), last=number == 3)
    return accuracy
