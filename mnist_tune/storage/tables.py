"""Our own tables beside Optuna's: workers, epochs of trials, and the version of both."""

from __future__ import annotations

import sqlalchemy
from sqlalchemy.engine import Connection

from mnist_tune.storage.engine import UtcDateTime
from mnist_tune.storage.optuna_internals import studies, trials

metadata = sqlalchemy.MetaData()

workers = sqlalchemy.Table(
    "mnist_tune_workers",
    metadata,
    sqlalchemy.Column("worker_id", sqlalchemy.String(32), primary_key=True),
    # With a plain foreign key Optuna's own delete_study would silently delete nothing on PostgreSQL.
    sqlalchemy.Column(
        "study_id",
        sqlalchemy.ForeignKey(studies.c.study_id, ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sqlalchemy.Column("name", sqlalchemy.String(512), nullable=False),
    sqlalchemy.Column("host", sqlalchemy.String(512), nullable=False),
    sqlalchemy.Column("pid", sqlalchemy.Integer, nullable=False),
    sqlalchemy.Column("device", sqlalchemy.String(512), nullable=False),
    sqlalchemy.Column("started", UtcDateTime, nullable=False),
    sqlalchemy.Column("last_beat", UtcDateTime, nullable=False),
    sqlalchemy.Column("trial", sqlalchemy.Integer),
    # Its name is that of versions with one job; it holds the speed in the unit of any job.
    sqlalchemy.Column("images_per_second", sqlalchemy.Float),
    sqlalchemy.Column("drain", sqlalchemy.Boolean, nullable=False),
    sqlalchemy.Column("departure", sqlalchemy.Text),
)
"""The workers of all studies; `trial` is the number of the trial in hand, `departure` why a worker left."""

epochs = sqlalchemy.Table(
    "mnist_tune_epochs",
    metadata,
    sqlalchemy.Column(
        "trial_id",
        sqlalchemy.ForeignKey(trials.c.trial_id, ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    sqlalchemy.Column("epoch", sqlalchemy.Integer, primary_key=True, autoincrement=False),
    sqlalchemy.Column("metrics", sqlalchemy.Text, nullable=False),
)
"""One row for each epoch of a trial, counted from 1; `metrics` is a JSON object of numbers by name.

A trial has rows for all of its epochs, also those that an earlier attempt at its cell has done.
"""

versions = sqlalchemy.Table(
    "mnist_tune_schema",
    metadata,
    sqlalchemy.Column(
        "schema_id",
        sqlalchemy.Integer,
        sqlalchemy.CheckConstraint("schema_id = 1"),
        primary_key=True,
        autoincrement=False,
    ),
    sqlalchemy.Column("version", sqlalchemy.Integer, nullable=False),
    sqlalchemy.Column("program", sqlalchemy.String(256), nullable=False),
)
"""One row: the version of our tables, and the version of the mnist-tune that brought them to it."""


def has_table(connection: Connection, table: sqlalchemy.Table) -> bool:
    """Whether the database has this table of ours, which stock Optuna and older versions may not make."""
    return sqlalchemy.inspect(connection).has_table(table.name)
