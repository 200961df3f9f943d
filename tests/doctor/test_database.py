"""The findings of `doctor` about a storage: a file or a server."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from mnist_tune.doctor import database
from mnist_tune.doctor.database import storage_checks
from mnist_tune.doctor.machine import Severity
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.schema import prepare
from tests.support.commands import STORED
from tests.support.doctor_findings import finding_of
from tests.support.postgres_server import postgres_server


def test_a_file_that_is_no_database_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no database" * 100)
    finding = finding_of(storage_checks(f"sqlite:///{tmp_path}/x.db"), "storage")
    assert finding.verdict is Severity.PROBLEM
    assert finding.says.endswith("x.db: is not an SQLite database; name another file")


def test_damage_that_no_query_meets_is_found(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/{STORED}"
    prepare(storage_url(url), create=True)
    with sqlite3.connect(tmp_path / STORED) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'trials'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    with (tmp_path / STORED).open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(bytes(size))
    finding = finding_of(storage_checks(url), "file")
    assert finding.verdict is Severity.PROBLEM
    assert finding.says.startswith(f"is damaged: Page {page}: ")
    assert "put back a copy of the file" in finding.says


def test_a_database_that_may_only_be_read_is_a_problem_of_the_round_trip(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/{STORED}"
    prepare(storage_url(url), create=True)
    with sqlite3.connect(tmp_path / STORED) as connection:
        connection.execute(
            "CREATE TRIGGER refuse BEFORE UPDATE ON version_info BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
    found = {finding.check: finding for finding in storage_checks(url)}
    assert found["round trip"].verdict is Severity.PROBLEM
    assert found["round trip"].says.startswith("cannot be used: refused; ")
    assert found["checkpoints"].verdict is Severity.OK


def test_another_journal_than_the_write_ahead_log_is_a_warning(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/{STORED}"
    prepare(storage_url(url), create=True)
    with sqlite3.connect(tmp_path / STORED) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    finding = finding_of(storage_checks(url), "file")
    assert finding.verdict is Severity.WARNING
    assert "journal mode delete" in finding.says


def test_a_slow_database_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/{STORED}"
    prepare(storage_url(url), create=True)
    monkeypatch.setattr(database, "SLOW_SECONDS", 0.0)
    finding = finding_of(storage_checks(url), "latency")
    assert finding.verdict is Severity.WARNING
    assert "20 transactions that change a row and change it back p50 " in finding.says


@pytest.mark.parametrize("kind", ["checkpoints", "artifacts"])
def test_a_folder_that_cannot_be_written_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv(f"MNIST_TUNE_{kind.upper()}", "/proc/1/nothing")
    finding = finding_of(storage_checks(f"sqlite:///{tmp_path}/{STORED}"), kind)
    assert finding.verdict is Severity.PROBLEM
    assert finding.says.startswith("/proc/1/nothing: cannot be written to (")


def test_a_full_disk_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LOW_SPACE", 1 << 80)
    finding = finding_of(storage_checks(f"sqlite:///{tmp_path}/{STORED}"), "checkpoints")
    assert finding.verdict is Severity.WARNING
    assert finding.says.endswith("GB free, made at first use; free some space there")


def test_a_server_that_does_not_answer_is_one_problem_without_its_password() -> None:
    finding = finding_of(storage_checks("postgresql://user:secret@127.0.0.1:1/x"), "storage")
    assert finding.verdict is Severity.PROBLEM
    assert "postgresql://user:***@127.0.0.1:1/x: cannot be used: " in finding.says
    assert finding.says.endswith("; see that the server runs, and that host, user and database are right")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres_server(tmp_path_factory.mktemp("postgres")) as url:
        yield url


@pytest.mark.postgres
def test_a_server_is_examined_without_a_trace(server: str) -> None:
    fresh = list(storage_checks(server))
    assert finding_of(iter(fresh), "storage").verdict is Severity.WARNING
    prepare(storage_url(server), create=True)
    with psycopg.connect(server) as connection:
        before = connection.execute("SELECT * FROM version_info").fetchall()
        found = {finding.check: finding for finding in storage_checks(server)}
        assert connection.execute("SELECT * FROM version_info").fetchall() == before
    assert {finding.verdict for finding in found.values()} == {Severity.OK}
    assert list(found) == ["storage", "server", "round trip", "latency", "checkpoints", "artifacts"]
    assert found["server"].says.startswith("PostgreSQL ")
    assert "its clock 0.0" in found["server"].says


@pytest.mark.postgres
def test_a_clock_that_differs_is_a_warning(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = time.time
    monkeypatch.setattr(time, "time", lambda: ours() - 3600)
    finding = finding_of(storage_checks(server), "server")
    assert finding.verdict is Severity.WARNING
    ahead = re.search(r"its clock ([0-9.]+) s ahead of ours; ", finding.says)
    assert ahead is not None
    assert 3540 < float(ahead[1]) < 3660  # a busy machine is slow to ask


@pytest.mark.postgres
def test_what_a_user_may_not_do_is_told_with_what_to_grant(server: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE ROLE guest LOGIN")
        connection.execute("CREATE DATABASE studies")
    owner = storage_url(server).set(database="studies")
    guest = str(owner.set(username="guest"))
    finding = finding_of(storage_checks(guest), "storage")
    assert finding.verdict is Severity.PROBLEM
    assert finding.says.endswith(
        "may not make tables; as the database's owner, run: GRANT CREATE ON SCHEMA public TO guest"
    )
    prepare(owner, create=True)
    finding = finding_of(storage_checks(guest), "round trip")
    assert finding.verdict is Severity.PROBLEM
    assert "permission denied for table version_info; grant that to this user" in finding.says


@pytest.mark.postgres
def test_a_server_that_takes_no_writes_is_a_problem(server: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE standby")
    url = storage_url(server).set(database="standby")
    prepare(url, create=True)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("ALTER DATABASE standby SET default_transaction_read_only = on")
    finding = finding_of(storage_checks(str(url)), "round trip")
    assert finding.verdict is Severity.PROBLEM
    assert "read-only transaction; name the primary server, or make the database writable" in finding.says
