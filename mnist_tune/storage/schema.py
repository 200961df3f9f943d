"""The schema behind a storage: Optuna's tables and ours, made where they are missing."""

from __future__ import annotations

import optuna
import sqlalchemy
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import URL, Engine

from mnist_tune.errors import UserError
from mnist_tune.storage.database_errors import opening_error
from mnist_tune.storage.engine import lock, open_engine, shown
from mnist_tune.storage.migrations import migrate, version_of
from mnist_tune.storage.optuna_internals import ALEMBIC_FOLDER, SCHEMA_VERSION, TABLES, VERSIONS


def prepare(url: URL, *, create: bool) -> None:
    """Check that the database at `url` holds Optuna's schema; `create` makes what is missing, and our tables.

    Raises:
        UserError: the database cannot be reached, has a newer version, is missing, or is no Optuna storage.
        MnistTuneError: the database is damaged, or its disk is full.
    """
    engine = open_engine(url, create=create)
    try:
        if create:
            _create_schema(engine)
        else:
            _check_schema(engine)
    except sqlalchemy.exc.DBAPIError as error:
        raise opening_error(url, error) from None
    finally:
        engine.dispose()


def _check_schema(engine: Engine) -> None:
    with engine.connect() as connection:
        if not sqlalchemy.inspect(connection).has_table("version_info"):
            where = shown(engine.url)
            raise UserError(f"{where}: holds no studies; make one with 'mnist-tune create-study SPEC'")
        version_of(connection)


def _create_schema(engine: Engine) -> None:
    """Make Optuna's tables and version rows, and our tables, all in one transaction.

    Stock `RDBStorage` uses several, and fails when many processes open a fresh database at once.
    """
    with engine.connect() as connection:
        lock(connection)
        tables = set(sqlalchemy.inspect(connection).get_table_names())
        migrations = MigrationContext.configure(connection)
        script = ScriptDirectory(str(ALEMBIC_FOLDER))
        revision = migrations.get_current_revision()
        if revision is not None and ("version_info" not in tables or revision != script.get_current_head()):
            raise UserError(
                f"{shown(engine.url)}: holds tables of another program or another version of Optuna; "
                "name another database, or see 'optuna storage upgrade --help'"
            )
        TABLES.create_all(connection)
        migrate(connection)
        if connection.execute(sqlalchemy.select(VERSIONS)).first() is None:
            row = {"schema_version": SCHEMA_VERSION, "library_version": optuna.__version__}
            connection.execute(VERSIONS.insert().values(row))
        if revision is None:
            migrations.stamp(script, "head")
        connection.commit()
