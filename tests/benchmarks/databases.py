"""Fresh databases for measurements: SQLite files, or databases of a PostgreSQL server."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy
from sqlalchemy.engine import URL

from mnist_tune.storage.engine import storage_url
from tests.support.postgres_server import postgres_server


@contextmanager
def asked_server(postgres: bool, storage: str | None) -> Iterator[URL | None]:
    """A PostgreSQL server of its own, the one at this URL, or None for SQLite."""
    if postgres:
        with tempfile.TemporaryDirectory() as folder, postgres_server(Path(folder)) as url:
            yield storage_url(url)
    else:
        yield storage_url(storage) if storage else None


@contextmanager
def fresh_database(server: URL | None = None) -> Iterator[tuple[URL, Path]]:
    """An empty database on the server, else in a file, and a folder; both are deleted at the end."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if server is None:
            yield storage_url(f"sqlite:///{folder}/studies.db"), folder
            return
        database = f"mnist_tune_{secrets.token_hex(4)}"
        engine = sqlalchemy.create_engine(server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {database}")
            try:
                yield server.set(database=database), folder
            finally:
                connection.exec_driver_sql(f"DROP DATABASE {database} WITH (FORCE)")
        engine.dispose()
