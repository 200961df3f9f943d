"""The tables of a fresh SQLite file, made by the product once and then copied, which takes a twentieth."""

from __future__ import annotations

import sqlite3
import threading
from typing import cast

from sqlalchemy.engine import Connection, Engine

from mnist_tune.storage import schema


class SchemaTemplate:
    """Makes the schema of a database in this process: a copy, if it is an SQLite file without a table."""

    def __init__(self) -> None:
        self._create_schema = schema._create_schema
        self._template: sqlite3.Connection | None = None
        self._lock = threading.Lock()  # so that no thread copies over what another has stored meanwhile

    def __call__(self, engine: Engine) -> None:
        if engine.dialect.name != "sqlite":
            self._create_schema(engine)
            return
        with self._lock, engine.connect() as connection:
            file = _of(connection)
            if file.execute("SELECT 1 FROM sqlite_master").fetchone():
                self._create_schema(engine)
            elif self._template:
                self._template.backup(file)
            else:
                self._create_schema(engine)
                self._template = sqlite3.connect(":memory:", check_same_thread=False)
                file.backup(self._template)


def _of(connection: Connection) -> sqlite3.Connection:
    return cast(sqlite3.Connection, connection.connection.driver_connection)
