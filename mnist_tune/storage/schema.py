"""The tables behind a storage: Optuna's own, an index, and the registry of workers."""

from __future__ import annotations

import optuna
import sqlalchemy
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import URL, Connection, Engine

from mnist_tune.errors import UserError
from mnist_tune.storage.database_errors import opening_error
from mnist_tune.storage.engine import UtcDateTime, lock, open_engine, shown
from mnist_tune.storage.optuna_internals import MIGRATIONS, SCHEMA_VERSION, TABLES, VERSIONS, studies

workers = sqlalchemy.Table(
    "mnist_tune_workers",
    sqlalchemy.MetaData(),
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
    sqlalchemy.Column("images_per_second", sqlalchemy.Float),
    sqlalchemy.Column("drain", sqlalchemy.Boolean, nullable=False),
    sqlalchemy.Column("departure", sqlalchemy.Text),
)
"""Every worker of a study; `trial` is the number of the trial in hand, `departure` why it is gone."""
INDEX = "CREATE INDEX IF NOT EXISTS ix_mnist_tune_trials_study_state ON trials (study_id, state, trial_id)"
"""With it claiming and counting stay fast at 10,000 cells; Optuna's own index knows only the study."""


def prepare(url: URL, *, create: bool) -> None:
    """See that the database at `url` holds Optuna's schema; `create` makes what is missing.

    Raises:
        UserError: unreachable, or (without `create`) not there, or no Optuna storage.
        MnistTuneError: the database is damaged, or its disk is full.
    """
    engine = open_engine(url, create=create)
    try:
        if create:
            _create_schema(engine)
        elif not sqlalchemy.inspect(engine).has_table("version_info"):
            raise UserError(f"{shown(url)}: holds no studies; make one with 'mnist-tune create-study SPEC'")
    except sqlalchemy.exc.DBAPIError as error:
        raise opening_error(url, error) from None
    finally:
        engine.dispose()


def has_registry(connection: Connection) -> bool:
    """Whether the table of workers is there: a database that stock Optuna made has none."""
    return sqlalchemy.inspect(connection).has_table(workers.name)


def add_ours(connection: Connection) -> None:
    """Add our table and our index to Optuna's, in a transaction that holds the database's lock."""
    workers.metadata.create_all(connection)
    connection.exec_driver_sql(INDEX)


def _create_schema(engine: Engine) -> None:
    """Optuna's tables, version rows and our index, all in one transaction or not at all.

    Stock `RDBStorage` does this in several, and fails when many processes open a fresh database at once.
    """
    with engine.connect() as connection:
        lock(connection)
        tables = set(sqlalchemy.inspect(connection).get_table_names())
        migrations = MigrationContext.configure(connection)
        script = ScriptDirectory(str(MIGRATIONS))
        revision = migrations.get_current_revision()
        if revision is not None and ("version_info" not in tables or revision != script.get_current_head()):
            raise UserError(
                f"{shown(engine.url)}: holds tables of another program or another version of Optuna; "
                "name another database, or see 'optuna storage upgrade --help'"
            )
        TABLES.create_all(connection)
        add_ours(connection)
        if connection.execute(sqlalchemy.select(VERSIONS)).first() is None:
            row = {"schema_version": SCHEMA_VERSION, "library_version": optuna.__version__}
            connection.execute(VERSIONS.insert().values(row))
        if revision is None:
            migrations.stamp(script, "head")
        connection.commit()
