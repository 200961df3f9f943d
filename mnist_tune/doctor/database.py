"""Checks of a storage: its place, its tables, its clock, its speed, and the folders beside it."""

from __future__ import annotations

import shutil
import sqlite3
import statistics
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import sqlalchemy
from sqlalchemy import Executable
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError

from mnist_tune.doctor.machine import Check, CheckResult, Severity, examine, gigabytes, one_line
from mnist_tune.errors import MnistTuneError
from mnist_tune.files.locations import Folders
from mnist_tune.files.writable import nearest, refused
from mnist_tune.storage.database_errors import SQLITE_REMEDIES, driver_error, explain, opening_error
from mnist_tune.storage.engine import open_engine, parse_url, shown, storage_url
from mnist_tune.storage.filesystems import file_system
from mnist_tune.storage.guarded import open_storage
from mnist_tune.storage.named import DEFAULT_URL
from mnist_tune.storage.optuna_internals import VERSIONS
from mnist_tune.study.store import study_names
from mnist_tune.text.visible import visible_lines

READS = 50
WRITES = 20
SLOW_SECONDS = 0.1
"""The limit for a transaction that writes, of which each worker makes one at each step."""
CLOCK_SECONDS = 2.0
LOW_SPACE = 1_000_000_000
"""In bytes: some fifty checkpoints, or a hundred and fifty models."""

# Every storage has this row, and nobody changes it. Each change is undone in its own transaction. Both are
# needed for the commit to write something: SQLite skips a value that is written over itself.
version = VERSIONS.c.library_version
READ = sqlalchemy.select(version)
CHANGE = VERSIONS.update().values(library_version=version + "?")
UNDO = VERSIONS.update().values(
    library_version=sqlalchemy.func.substr(version, 1, sqlalchemy.func.length(version) - 1)
)


def storage_checks(option: str | None) -> Iterator[CheckResult]:
    """Check the storage that `option`, the environment or the default names.

    No database is made, and nothing that is stored is changed.
    """
    try:
        url = storage_url(option)
    except MnistTuneError as error:
        yield CheckResult("storage", Severity.PROBLEM, str(error))
        return
    folders = Folders.of(url)
    yield from examine(
        ("storage", partial(_storage, url)),
        ("checkpoints", partial(_folder, "checkpoints", folders.checkpoints.path)),
        ("artifacts", partial(_folder, "artifacts", folders.artifacts.path)),
    )


def _storage(url: URL) -> Iterator[CheckResult]:
    file = Path(url.database or "").absolute()
    if url == parse_url(DEFAULT_URL, "") and not file.exists():
        open_engine(url, create=True).dispose()  # makes no file: only checks that it could be there
        yield CheckResult("storage", Severity.OK, f"{shown(url)}: none yet; create-study and run make it")
        yield from _folder("folder", file.parent)
        return
    engine = open_engine(url)
    try:
        has_tables = sqlalchemy.inspect(engine).has_table(VERSIONS.name)
        checks: list[Check] = [("storage", partial(_tables if has_tables else _empty, engine))]
        if url.drivername == "sqlite":
            checks += [("file", partial(_file, engine)), ("folder", partial(_folder, "folder", file.parent))]
        else:
            checks.append(("server", partial(_server, engine)))
        if has_tables:
            checks.append(("round trip", partial(_round_trip, engine)))
            checks.append(("latency", partial(_latency, engine)))
        yield from examine(*checks, describe=_describe)
    except DBAPIError as error:
        raise opening_error(url, error) from None
    finally:
        engine.dispose()


def _describe(error: Exception) -> str:
    cause = driver_error(error)
    return explain(cause) if cause else one_line(error)


def _tables(engine: Engine) -> Iterator[CheckResult]:
    storage = open_storage(engine.url)  # it refuses another version's tables
    try:
        count = len(study_names(storage))
        is_up_to_date = storage.is_up_to_date()
    finally:
        storage.remove_session()
        storage.engine.dispose()
    studies = "study" if count == 1 else "studies"
    yield CheckResult("storage", Severity.OK, f"{shown(engine.url)}: {count} {studies}")
    if not is_up_to_date:
        says = (
            "of an older version, or not whole; every command reads them; a worker, "
            "or 'mnist-tune create-study SPEC', brings them up to date, as a user who may make tables"
        )
        yield CheckResult("tables", Severity.WARNING, says)


def _empty(engine: Engine) -> Iterator[CheckResult]:
    where = shown(engine.url)
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            question = "SELECT current_user, has_schema_privilege(current_schema(), 'CREATE')"
            user, may_create = connection.exec_driver_sql(question).one()
        if not may_create:
            grant = f"GRANT CREATE ON SCHEMA public TO {user}"
            says = f"{where}: this user may not make tables; as the database's owner, run: {grant}"
            yield CheckResult("storage", Severity.PROBLEM, says)
            return
    says = f"{where}: holds no studies; make one with 'mnist-tune create-study SPEC'"
    yield CheckResult("storage", Severity.WARNING, says)


def _file(engine: Engine) -> Iterator[CheckResult]:
    with engine.connect() as connection:
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
        damage = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    if damage != "ok":
        remedy = SQLITE_REMEDIES[sqlite3.SQLITE_CORRUPT]
        yield CheckResult("file", Severity.PROBLEM, f"is damaged: {visible_lines(str(damage))[-1]}; {remedy}")
    elif mode != "wal":
        says = f"intact, but in journal mode {mode}, in which readers and workers wait for each other; "
        yield CheckResult("file", Severity.WARNING, f"{says}'create-study' and 'run' set it to wal")
    else:
        yield CheckResult("file", Severity.OK, f"intact, journal mode wal, SQLite {sqlite3.sqlite_version}")


def _server(engine: Engine) -> Iterator[CheckResult]:
    with engine.connect() as connection:
        release = connection.exec_driver_sql("SHOW server_version").scalar()
        before = time.time()
        clock = connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())").scalar_one()
        ahead = float(clock) - (before + time.time()) / 2
    says = f"PostgreSQL {release}, its clock {abs(ahead):.3f} s {'ahead of' if ahead > 0 else 'behind'} ours"
    if abs(ahead) < CLOCK_SECONDS:
        yield CheckResult("server", Severity.OK, says)
    else:
        remedy = "leases keep to the server's, but set both by NTP so that times mean the same"
        yield CheckResult("server", Severity.WARNING, f"{says}; {remedy}")


def _round_trip(engine: Engine) -> Iterator[CheckResult]:
    with engine.connect() as connection:
        stored = connection.execute(READ).scalar_one()
        connection.execute(CHANGE)
        changed = connection.execute(READ).scalar_one()
        connection.rollback()
        if (changed, connection.execute(READ).scalar_one()) != (f"{stored}?", stored):
            raise MnistTuneError("what was written is not what was read; name another database")
    yield CheckResult("round trip", Severity.OK, "written, read and rolled back")


def _latency(engine: Engine) -> Iterator[CheckResult]:
    with engine.connect() as connection:
        reads = [_seconds(connection, READ) for _ in range(READS)]
        writes = [_seconds(connection, CHANGE, UNDO) for _ in range(WRITES)]
    says = (
        f"{READS} reads of a row {_percentiles(reads)}; "
        f"{WRITES} transactions that change a row and change it back {_percentiles(writes)}"
    )
    if statistics.median(writes) < SLOW_SECONDS:
        yield CheckResult("latency", Severity.OK, says)
    else:
        remedy = (
            "every worker waits that long at each step: take a faster disk, a nearer server, fewer workers"
        )
        yield CheckResult("latency", Severity.WARNING, f"{says}; {remedy}")


def _seconds(connection: Connection, *statements: Executable) -> float:
    begin = time.perf_counter()
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    return time.perf_counter() - begin


def _percentiles(seconds: list[float]) -> str:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return f"p50 {cuts[49] * 1e3:.2f} ms, p99 {cuts[98] * 1e3:.2f} ms"


def _folder(check: str, folder: Path) -> Iterator[CheckResult]:
    if refusal := refused(folder):
        says = f"{folder}: cannot be written to ({refusal}); free it for this user, or name another place"
        yield CheckResult(check, Severity.PROBLEM, says)
        return
    free = shutil.disk_usage(nearest(folder)).free
    missing = "" if folder.exists() else ", made at first use"
    says = f"{folder}: {file_system(folder) or 'file system unknown'}, {gigabytes(free)} free{missing}"
    if free < LOW_SPACE:
        yield CheckResult(check, Severity.WARNING, f"{says}; free some space there")
    else:
        yield CheckResult(check, Severity.OK, says)
