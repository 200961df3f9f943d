"""Everything that is stored in a database and in a folder."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy

from mnist_tune.study.open_study import OpenStudy
from tests.support.commands import STORED


def database_content(folder: Path) -> list[str]:
    """Everything that is stored in the folder's database, as SQL."""
    if not (folder / STORED).exists():
        return []
    with sqlite3.connect(folder / STORED) as connection:
        return list(connection.iterdump())


def files_in(folder: Path) -> list[Path]:
    """Everything in the folder, without SQLite's own files beside an open database."""
    return sorted(path for path in folder.rglob("*") if not path.name.endswith(("-wal", "-shm")))


def stored_rows(study: OpenStudy) -> list[Any]:
    """All rows of all tables of the study's database."""
    metadata = sqlalchemy.MetaData()
    with study.storage.engine.connect() as connection:
        metadata.reflect(connection)
        return [sorted(map(repr, connection.execute(table.select()))) for table in metadata.sorted_tables]


def names_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
