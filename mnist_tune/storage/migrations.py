"""The version of our tables, and the steps from each version to the next.

Version 0 is what 0.5.0 and older left: at most the table of workers and our index, and no number anywhere. A
database of stock Optuna is of version 0 too.

Only who needs the tables brings them up to date: what makes studies (`create-study`, `run`, the target of
`copy-study`) and a worker when it registers. Everything else reads any version up to this program's, so that
a database of 0.5.0 can be looked at where nobody may write to it.

The step to version 1 moves nothing. In 0.5.0 the epochs of a trial were one user attribute, `history`. One
worker writes a trial from its claim to its end, so that its epochs are either all in that attribute or all in
our table. Where a trial has no rows, readers take the attribute. They need that anyway: for a database that
nobody may write to, for a history that is damaged, and for a worker of 0.5.0 that still runs on a database
that is up to date. It goes on to write the attribute, and nothing of it is lost.
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
"""With it claiming and counting stay fast at 10,000 cells; Optuna's own index knows only the study."""
DELETE_EPOCHS = """
CREATE TRIGGER IF NOT EXISTS mnist_tune_delete_epochs AFTER DELETE ON trials
BEGIN DELETE FROM mnist_tune_epochs WHERE trial_id = OLD.trial_id; END
"""
"""SQLite's part of the foreign key, which Optuna leaves switched off there: whoever deletes a trial, its
epochs go with it. SQLite gives a deleted trial's id to another one.
"""


def add_epochs(connection: Connection) -> None:
    """From 0 to 1: the table of epochs, and whatever of version 0 a database of stock Optuna has not."""
    workers.metadata.create_all(connection, tables=[workers, epochs])
    connection.exec_driver_sql(INDEX)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(DELETE_EPOCHS)


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (add_epochs,)
"""At place n the step from version n to n + 1."""


def version_of(connection: Connection) -> int:
    """The version of the database's tables of ours.

    Raises:
        UserError: a newer mnist-tune made them.
        MnistTuneError: what is stored is no version.
    """
    if not has_table(connection, versions):
        return 0
    row = connection.execute(sqlalchemy.select(versions.c.version, versions.c.program)).first()
    if row is None:
        return 0
    version: Any = row.version  # SQLite lets a column have anything
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
    """Bring our tables up to date, in a transaction that holds the database's lock: all of it or nothing.

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
