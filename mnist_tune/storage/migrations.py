"""The version of our tables, and how a database is brought to it.

Version 0 is what 0.5.0 and older left: at most the table of workers and our index, without a version number.
A database of stock Optuna is of version 0 too.

The tables are brought up to date only by what needs them: the commands that make studies (`create-study`,
also with `--reuse`, `run`, the target of `copy-study`) and a worker when it registers. Everything else reads
any version up to this program's, so that a database of 0.5.0 can be looked at where nobody may write to it.

Whatever the version says, these also make what is missing. An upgrade of Optuna replaces the table of trials
on SQLite, and our index and our trigger go with the old one.

The step to version 1 moves no data. In 0.5.0 the epochs of a trial were one user attribute, `history`. One
worker writes a trial from its claim to its end, so that all its epochs are either in that attribute or in our
table. Where a trial has no rows, readers take the attribute. They need to do so anyway: for a database that
nobody may write to, for a damaged history, and for a worker of 0.5.0 that still runs on a database that is up
to date. Such a worker goes on writing the attribute, and nothing is lost.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy
from sqlalchemy import select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from mnist_tune import __version__
from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.storage.database_errors import NOT_ALLOWED, sqlstate
from mnist_tune.storage.engine import shown
from mnist_tune.storage.optuna_internals import trials
from mnist_tune.storage.tables import epochs, has_table, metadata, versions, workers
from mnist_tune.text.visible import visible

VERSION = 1
"""Of our tables, as this program makes them."""
INDEX = "ix_mnist_tune_trials_study_state"
CREATE_INDEX = f"CREATE INDEX IF NOT EXISTS {INDEX} ON trials (study_id, state, trial_id)"
"""Keeps claiming and counting fast at 10,000 cells; Optuna's own index covers the study alone."""
TRIGGER = "mnist_tune_delete_epochs"
CREATE_TRIGGER = f"""
CREATE TRIGGER IF NOT EXISTS {TRIGGER} AFTER DELETE ON trials
BEGIN DELETE FROM mnist_tune_epochs WHERE trial_id = OLD.trial_id; END
"""
"""Deletes the epochs of a deleted trial in SQLite, where Optuna leaves foreign keys switched off. Without it
another trial that gets the same id would get the epochs too.
"""


def version_of(connection: Connection) -> int:
    """The version of our tables in the database; 0 if it has no version number.

    Raises:
        UserError: a newer mnist-tune made them.
        MnistTuneError: what is stored is no version.
    """
    if not has_table(connection, versions):
        return 0
    row = connection.execute(select(versions.c.version, versions.c.program)).first()
    if row is None:
        return 0
    version: Any = row.version  # SQLite lets a column hold values of any type
    where, program = shown(connection.engine.url), visible(row.program)
    if not isinstance(version, int) or version < 0:
        raise MnistTuneError(f"{where}: is damaged: its tables' version is {visible(repr(version))}")
    if version > VERSION:
        raise UserError(
            f"{where}: mnist-tune {program} made its tables, of version {version}; this is {__version__}, "
            f"which knows version {VERSION}; install mnist-tune {program} or a later one"
        )
    return version


def is_up_to_date(connection: Connection) -> bool:
    """Whether the database has all that this version has.

    Raises:
        UserError, MnistTuneError: as `version_of`.
    """
    has_all = (
        version_of(connection) == VERSION
        and has_table(connection, workers)
        and has_table(connection, epochs)
        and sqlalchemy.inspect(connection).has_index(trials.name, INDEX)
    )
    return has_all and (connection.dialect.name != "sqlite" or _has_trigger(connection))


def migrate(connection: Connection) -> None:
    """Bring our tables up to date, all or nothing; the caller's transaction holds the database's lock.

    Raises:
        UserError: the database's user may not do that, or as `version_of`.
        MnistTuneError: as `version_of`.
    """
    if is_up_to_date(connection):
        return
    try:
        _make_what_is_missing(connection)
    except DBAPIError as error:
        if sqlstate(error.orig) != NOT_ALLOWED:
            raise
        *others, last = (table.name for table in metadata.sorted_tables)
        raise UserError(
            f"{shown(connection.engine.url)}: its tables are of an older version, and this user may not "
            "change them; have their owner run 'mnist-tune create-study SPEC' once, and grant this user "
            f"the tables {', '.join(others)} and {last}"
        ) from None
    if version_of(connection) < VERSION:
        connection.execute(versions.delete())
        row = {"schema_id": 1, "version": VERSION, "program": __version__}
        connection.execute(versions.insert().values(row))


def _make_what_is_missing(connection: Connection) -> None:
    metadata.create_all(connection)
    connection.exec_driver_sql(CREATE_INDEX)
    if connection.dialect.name == "sqlite" and not _has_trigger(connection):
        # Of trials that were deleted while it was missing.
        connection.execute(epochs.delete().where(epochs.c.trial_id.not_in(select(trials.c.trial_id))))
        connection.exec_driver_sql(CREATE_TRIGGER)


def _has_trigger(connection: Connection) -> bool:
    named = "SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND name = ?"
    return connection.exec_driver_sql(named, (TRIGGER,)).first() is not None
