"""The version of our tables, and the steps from each version to the next.

Version 0 is what 0.5.0 and older left: at most the table of workers and our index, without a version number.
A database of stock Optuna is of version 0 too.

The tables are brought up to date only by what needs them: the commands that make studies (`create-study`,
`run`, the target of `copy-study`) and a worker when it registers. Everything else reads any version up to
this program's, so that a database of 0.5.0 can be looked at where nobody may write to it.

The step to version 1 moves no data. In 0.5.0 the epochs of a trial were one user attribute, `history`. One
worker writes a trial from its claim to its end, so that all its epochs are either in that attribute or in our
table. Where a trial has no rows, readers take the attribute. They need to do so anyway: for a database that
nobody may write to, for a damaged history, and for a worker of 0.5.0 that still runs on a database that is up
to date. Such a worker goes on writing the attribute, and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy
from sqlalchemy.engine import Connection

from mnist_tune import __version__
from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.storage.engine import shown
from mnist_tune.storage.tables import epochs, has_table, versions, workers
from mnist_tune.text.visible import visible

INDEX = "CREATE INDEX IF NOT EXISTS ix_mnist_tune_trials_study_state ON trials (study_id, state, trial_id)"
"""Keeps claiming and counting fast at 10,000 cells; Optuna's own index covers the study alone."""
DELETE_EPOCHS = """
CREATE TRIGGER IF NOT EXISTS mnist_tune_delete_epochs AFTER DELETE ON trials
BEGIN DELETE FROM mnist_tune_epochs WHERE trial_id = OLD.trial_id; END
"""
"""Deletes the epochs of a deleted trial in SQLite, where Optuna leaves foreign keys switched off. Without it
another trial that gets the same id would get the epochs too.
"""


def add_epochs(connection: Connection) -> None:
    """From version 0 to 1: add the table of epochs, and the table of workers and our index where missing."""
    workers.metadata.create_all(connection, tables=[workers, epochs])
    connection.exec_driver_sql(INDEX)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(DELETE_EPOCHS)


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (add_epochs,)
"""The step at index n goes from version n to n + 1."""


def version_of(connection: Connection) -> int:
    """The version of our tables in the database; 0 if it has no version number.

    Raises:
        UserError: a newer mnist-tune made them.
        MnistTuneError: what is stored is no version.
    """
    if not has_table(connection, versions):
        return 0
    row = connection.execute(sqlalchemy.select(versions.c.version, versions.c.program)).first()
    if row is None:
        return 0
    version: Any = row.version  # SQLite lets a column hold values of any type
    where, program = shown(connection.engine.url), visible(row.program)
    if not isinstance(version, int) or version < 0:
        raise MnistTuneError(f"{where}: is damaged: its tables' version is {visible(repr(version))}")
    if version > len(MIGRATIONS):
        raise UserError(
            f"{where}: mnist-tune {program} made its tables, of version {version}; this is {__version__}, "
            f"which knows version {len(MIGRATIONS)}; install mnist-tune {program} or a later one"
        )
    return version


def migrate(connection: Connection) -> None:
    """Bring our tables up to date, all or nothing, in the caller's transaction, which holds the database's
    lock.

    Raises:
        UserError, MnistTuneError: as `version_of`.
    """
    version = version_of(connection)
    if version == len(MIGRATIONS):
        return
    for step in MIGRATIONS[version:]:
        step(connection)
    versions.create(connection, checkfirst=True)
    connection.execute(versions.delete())
    row = {"schema_id": 1, "version": len(MIGRATIONS), "program": __version__}
    connection.execute(versions.insert().values(row))
