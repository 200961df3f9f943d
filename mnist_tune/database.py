"""A storage URL to a hardened SQLAlchemy engine, and Optuna's schema in it."""

from __future__ import annotations

import os
import sqlite3
import time
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import optuna
import sqlalchemy
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from optuna.storages._rdb import models
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from mnist_tune.errors import UserError

ENVIRONMENT_VARIABLE = "MNIST_TUNE_STORAGE"
DEFAULT_URL = "sqlite:///mnist-tune.db"

# Measured with 48 workers on one file: 19 lock errors at 5 s, the driver's default, none at 120 s.
SQLITE_BUSY_SECONDS = 120
# A cut link raises after about three seconds; without these a client hangs on a dead socket for minutes.
POSTGRESQL_CONNECT_ARGUMENTS: dict[str, str | int] = {
    "connect_timeout": 3,
    "tcp_user_timeout": 3000,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "options": "-c timezone=UTC",
}
# Any constant will do: it names the one advisory lock under which schemas and studies are made.
POSTGRESQL_LOCK = 0x6D6E6973742D74


class utc_now(FunctionElement[datetime]):  # noqa: N801 - reads as the SQL function it is
    """The database's clock as Optuna stores times: naive UTC."""

    type = sqlalchemy.DateTime()
    inherit_cache = True


@compiles(utc_now, "sqlite")
def _utc_now_sqlite(*_: Any, **__: Any) -> str:
    # Milliseconds, padded to the microseconds that SQLAlchemy writes: CURRENT_TIMESTAMP has whole seconds.
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"


@compiles(utc_now, "postgresql")
def _utc_now_postgresql(*_: Any, **__: Any) -> str:
    return "(clock_timestamp() AT TIME ZONE 'UTC')"


def storage_url(option: str | None = None) -> URL:
    """The storage to use: `option`, else the environment's, else an SQLite file in the current folder.

    Raises:
        UserError: not a URL, or of a database we do not support.
    """
    text = option or os.environ.get(ENVIRONMENT_VARIABLE) or DEFAULT_URL
    source = "--storage" if option else f"${ENVIRONMENT_VARIABLE}"
    try:
        url = make_url(text)
    except (sqlalchemy.exc.ArgumentError, ValueError):  # ValueError: a port that is no number
        # The text is not shown: what cannot be parsed may still hold a password.
        raise UserError(
            f"{source}: is not a database URL; write sqlite:///FILE.db or postgresql://USER@HOST/DATABASE"
        ) from None
    if url.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    if url.drivername in ("sqlite", "sqlite+pysqlite"):
        if not url.database or url.database == ":memory:":
            raise UserError(f"{source}: workers share a file, not memory; write sqlite:///FILE.db")
        if url.query:
            raise UserError(f"{source}: SQLite takes no options after '?'; write sqlite:///FILE.db")
        return url.set(drivername="sqlite")
    raise UserError(
        f"{source}: {url.drivername}:// is not supported; "
        "write sqlite:///FILE.db or postgresql://USER@HOST/DATABASE"
    )


def shown(url: URL) -> str:
    """The URL without its password, as it may be printed and stored; options may hold one too."""
    url = url.set(query={})
    if url.drivername == "postgresql+psycopg":
        url = url.set(drivername="postgresql")
    return url.render_as_string(hide_password=True)


def prepare(url: URL, *, create: bool) -> None:
    """See that the database at `url` holds Optuna's schema; `create` makes what is missing.

    Raises:
        UserError: unreachable, or (without `create`) not there, or no Optuna storage.
    """
    if url.drivername == "sqlite":
        _check_sqlite_path(url, create)
    try:
        engine = sqlalchemy.create_engine(url, **engine_arguments(url, create=create))
    except ModuleNotFoundError:
        raise UserError(
            f"{shown(url)}: needs the PostgreSQL driver; run pip install 'mnist-tune[postgres]'"
        ) from None
    try:
        if create:
            _create_schema(engine)
        elif not sqlalchemy.inspect(engine).has_table("version_info"):
            raise UserError(f"{shown(url)}: holds no studies; make one with 'mnist-tune create-study SPEC'")
    except sqlalchemy.exc.DBAPIError as error:
        raise UserError(f"{shown(url)}: {reason(error)}") from None
    finally:
        engine.dispose()


def engine_arguments(url: URL, *, create: bool = False) -> dict[str, Any]:
    """What makes an engine on this URL safe for many processes, as arguments of `create_engine`."""
    if url.drivername != "sqlite":
        return {"connect_args": POSTGRESQL_CONNECT_ARGUMENTS, "pool_pre_ping": True, "hide_parameters": True}
    # rw, not rwc: a mistyped or deleted file is never made anew by opening it.
    file = f"file:{quote(str(_sqlite_path(url)))}?mode={'rwc' if create else 'rw'}"

    def open_file() -> sqlite3.Connection:
        connection = sqlite3.connect(file, uri=True, timeout=SQLITE_BUSY_SECONDS, check_same_thread=False)
        if create:  # it stays with the file; a command that only reads must not change what it is given
            _use_write_ahead_log(connection)
        connection.execute("PRAGMA synchronous=FULL")  # a finished trial survives a power cut
        return connection

    return {"creator": open_file}


def lock(connection: Connection) -> None:
    """Begin the transaction with the database's write lock (SQLite) or our advisory lock (PostgreSQL)."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({POSTGRESQL_LOCK})")


def reason(error: sqlalchemy.exc.DBAPIError) -> str:
    """The driver's first line, which names hosts and files but no password."""
    text = str(error.orig).strip().splitlines()[0]
    if "not a database" in text:
        return "is not an SQLite database; correct --storage"
    return f"cannot be used: {text}"


def _sqlite_path(url: URL) -> Path:
    return Path(url.database or "").absolute()


def _check_sqlite_path(url: URL, create: bool) -> None:
    path = _sqlite_path(url)
    if not create and not path.is_file():
        raise UserError(
            f"{shown(url)}: no such file; correct --storage, "
            "or make a study with 'mnist-tune create-study SPEC'"
        )
    if not path.parent.is_dir():
        raise UserError(f"{shown(url)}: the folder {path.parent} does not exist; create it first")


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        return
    # The busy timeout does not cover this switch, which needs the file to itself for a moment.
    deadline = time.monotonic() + SQLITE_BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _create_schema(engine: Engine) -> None:
    """Optuna's tables, version rows and our index, all in one transaction or not at all.

    Stock `RDBStorage` does this in several, and fails when many processes open a fresh database at once.
    """
    with engine.connect() as connection:
        lock(connection)
        tables = set(sqlalchemy.inspect(connection).get_table_names())
        migrations = MigrationContext.configure(connection)
        script = ScriptDirectory(str(Path(models.__file__).parent / "alembic"))
        revision = migrations.get_current_revision()
        if revision is not None and ("version_info" not in tables or revision != script.get_current_head()):
            raise UserError(
                f"{shown(engine.url)}: holds tables of another program or another version of Optuna; "
                "name another database, or see 'optuna storage upgrade --help'"
            )
        models.BaseModel.metadata.create_all(connection)
        # Claiming and counting stay fast at 10,000 cells; Optuna's own index knows only the study.
        connection.exec_driver_sql(
            "CREATE INDEX IF NOT EXISTS ix_mnist_tune_trials_study_state "
            "ON trials (study_id, state, trial_id)"
        )
        versions = models.VersionInfoModel.__table__
        if connection.execute(sqlalchemy.select(versions)).first() is None:
            row = {"schema_version": models.SCHEMA_VERSION, "library_version": optuna.__version__}
            connection.execute(versions.insert().values(row))
        if revision is None:
            migrations.stamp(script, "head")
        connection.commit()
