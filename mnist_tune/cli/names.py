"""Names that need not be typed: Tab completes them, or the only one is taken.

Tab must be quick and silent: nothing is made, waited for or printed, even if something fails.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import typer

from mnist_tune.storage.keys import SPEC

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

SECONDS = 2
# Shells expand and even run what they are offered, and other people may write to a storage.
SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")
SAFE_PATH = re.compile(r"[A-Za-z0-9._/-]+")
STUDIES = (
    "SELECT DISTINCT study_name FROM studies JOIN study_user_attributes USING (study_id) WHERE key = :spec"
)
OF_WORKERS = (
    "SELECT DISTINCT {column} FROM mnist_tune_workers JOIN studies USING (study_id) "
    "WHERE departure IS NULL AND (:study = '' OR study_name = :study)"
)


def complete_study(context: typer.Context, incomplete: str) -> list[str]:
    """The studies in the storage that the command line, the environment or the default names."""
    return _ask(context, incomplete, STUDIES, {"spec": SPEC})


def complete_host(context: typer.Context, incomplete: str) -> list[str]:
    """The hosts on which the study has workers."""
    return _ask(context, incomplete, OF_WORKERS.format(column="host"), {"study": _study(context)})


def complete_worker(context: typer.Context, incomplete: str) -> list[str]:
    """The names of the study's workers."""
    return _ask(context, incomplete, OF_WORKERS.format(column="name"), {"study": _study(context)})


def complete_spec(incomplete: str) -> list[str]:
    """The studies that come with mnist-tune, and TOML files."""
    from mnist_tune.spec.shipped import shipped_specs

    try:
        here = Path()
        files = [str(path) for below in ("*.toml", "*/*.toml") for path in here.glob(f"{incomplete}{below}")]
    except (OSError, ValueError, NotImplementedError):
        files = []
    return [name for name in [*shipped_specs(), *sorted(files)] if _is_offered(name, incomplete, SAFE_PATH)]


def _study(context: typer.Context) -> str:
    # After an option without a value, the arguments are not parsed yet.
    return str(context.params.get("study") or next(iter(context.args), ""))


def _is_offered(name: str, incomplete: str, safe: re.Pattern[str]) -> bool:
    return name.startswith(incomplete) and safe.fullmatch(name) is not None


def _ask(context: typer.Context, incomplete: str, query: str, values: dict[str, Any]) -> list[str]:
    try:
        from mnist_tune.storage.engine import storage_url

        url = storage_url(context.params.get("storage"))
        found = _in_file(url, query, values) if url.drivername == "sqlite" else _on_server(url, query, values)
    except Exception:  # an error would disturb the user's next line in the shell
        return []
    return sorted(name for name in found if isinstance(name, str) and _is_offered(name, incomplete, SAFE))


def _in_file(url: URL, query: str, values: dict[str, Any]) -> list[Any]:
    from mnist_tune.storage.filesystems import network_file_system

    path = Path(url.database or "").absolute()
    if network_file_system(path) or not path.is_file():
        return []
    # Its -wal and -shm files exist only while somebody writes; SQLite would make them in order to read.
    in_use = all(Path(f"{path}{suffix}").exists() for suffix in ("-wal", "-shm"))
    uri = f"file:{quote(str(path))}?mode=ro{'' if in_use else '&immutable=1'}"
    with closing(sqlite3.connect(uri, uri=True, timeout=SECONDS)) as connection:
        return [row[0] for row in connection.execute(query, values)]


def _on_server(url: URL, query: str, values: dict[str, Any]) -> list[Any]:
    import sqlalchemy

    limits = {"connect_timeout": SECONDS, "options": f"-c statement_timeout={SECONDS * 1000}"}
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool, connect_args=limits)
    with engine.connect() as connection:
        return list(connection.execute(sqlalchemy.text(query), values).scalars())
