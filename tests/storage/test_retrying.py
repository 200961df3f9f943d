"""Asking a storage again: for which failures, for how long, and what is said about it."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import DBAPIError, OperationalError, PendingRollbackError, ProgrammingError

from mnist_tune.contract import retrying
from mnist_tune.contract.claim import Claim
from mnist_tune.contract.retrying import StorageRetry
from mnist_tune.errors import MnistTuneError
from mnist_tune.storage.database_errors import driver_error
from mnist_tune.storage.retrying import failure_that_may_pass, why_it_may_pass
from mnist_tune.study.open_study import OpenStudy
from tests.support.mount_namespace import run_with_mounts
from tests.support.storage_faults import away


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "FIRST_PAUSE", 0.01)


def of_sqlite(name: str) -> DBAPIError:
    """The driver's error of this name, as SQLAlchemy raises it."""
    error = sqlite3.OperationalError("it says so")
    error.sqlite_errorname = name
    return OperationalError("SELECT 1", {}, error)


def of_postgresql(sqlstate: str) -> DBAPIError:
    """The server's error with this SQLSTATE, as SQLAlchemy raises it."""
    return OperationalError("SELECT 1", {}, psycopg.errors.lookup(sqlstate)("it says so"))


def test_a_storage_that_was_away_is_asked_again_until_it_answers(study: OpenStudy) -> None:
    queue = study.queue()
    lines: list[str] = []
    asked = 0
    with ExitStack() as outage:
        outage.enter_context(away(study.storage))

        def claim() -> Claim | None:
            nonlocal asked
            asked += 1
            if asked == 3:
                outage.close()
            return queue.claim("worker")

        claimed = StorageRetry(60, lines.append, hurry=lambda: False, away=why_it_may_pass)(claim)
    assert claimed is not None
    assert claimed.number == 0
    assert asked == 3
    assert len(lines) == 2
    assert lines[0].startswith("the storage does not answer (")
    assert lines[1].startswith("the storage answers again, after ")


def test_a_storage_that_stays_away_is_given_up_after_a_while(study: OpenStudy) -> None:
    ask = StorageRetry(0.3, print, hurry=lambda: False, away=why_it_may_pass)
    queue = study.queue()
    with (
        away(study.storage),
        pytest.raises(MnistTuneError, match=r"the storage has not answered for \d+ s: "),
    ):
        ask(lambda: queue.claim("worker"))


def test_who_is_in_a_hurry_does_not_wait() -> None:
    asked = 0

    def call() -> None:
        nonlocal asked
        asked += 1
        raise of_sqlite("SQLITE_BUSY")

    with pytest.raises(MnistTuneError):
        StorageRetry(3600, print, hurry=lambda: True, away=why_it_may_pass)(call)
    assert asked == 1


LOST_CONNECTION = OperationalError("SELECT 1", {}, psycopg.OperationalError("server closed the connection"))
INVALIDATED = DBAPIError("SELECT 1", {}, sqlite3.ProgrammingError(), connection_invalidated=True)


@pytest.mark.parametrize(
    "error",
    [
        *map(of_sqlite, ("SQLITE_BUSY", "SQLITE_BUSY_SNAPSHOT", "SQLITE_LOCKED", "SQLITE_FULL")),
        *map(of_postgresql, ("08006", "40001", "40P01", "53300", "55P03", "57P01", "57P03")),
        LOST_CONNECTION,
        INVALIDATED,
    ],
    ids=lambda error: str(getattr(error.orig, "sqlstate", error.orig)),
)
def test_a_failure_that_may_pass_is_known_also_when_optuna_wraps_it(error: DBAPIError) -> None:
    assert failure_that_may_pass(error) is error
    wrapped = StorageInternalError("something else")
    wrapped.__cause__ = error
    assert failure_that_may_pass(wrapped) is error


def test_a_lost_connection_is_known_also_when_somebody_went_on_without_it() -> None:
    error = of_postgresql("57P01")
    went_on = PendingRollbackError("the session is dead")
    went_on.__context__ = error
    wrapped = StorageInternalError("something else")
    wrapped.__cause__ = went_on
    assert failure_that_may_pass(wrapped) is error
    assert driver_error(wrapped) is error


def test_what_a_program_does_wrong_after_an_outage_is_not_taken_for_it() -> None:
    error = ValueError("no failure of the storage")
    error.__context__ = of_postgresql("57P01")
    assert failure_that_may_pass(error) is None
    assert driver_error(error) is None


@pytest.mark.parametrize(
    "error",
    [
        *map(of_sqlite, ("SQLITE_IOERR", "SQLITE_IOERR_READ", "SQLITE_CORRUPT", "SQLITE_ERROR")),
        *map(of_postgresql, ("23505", "42501", "42P01", "25006")),
        ProgrammingError("SELECT 1", {}, sqlite3.ProgrammingError("Cannot operate on a closed database.")),
        ValueError("no failure of the storage"),
        StorageInternalError("of unknown cause"),
    ],
    ids=str,
)
def test_a_failure_that_will_not_pass_is_raised_as_it_is_at_once(error: Exception) -> None:
    lines: list[str] = []

    def call() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        StorageRetry(60, lines.append, hurry=lambda: False, away=why_it_may_pass)(call)
    assert caught.value is error
    assert lines == []


ON_A_FULL_DISK = """
import threading
from pathlib import Path
from mnist_tune.results.reading import read_results
from tests.support.made_studies.epochs import made_epoch
from tests.support.studies import new_study, work

study = new_study(Path("disk"))
filler = Path("disk/filler")

def fill_the_disk():
    with filler.open("wb", buffering=0) as sink:
        try:
            while True:
                sink.write(bytes(4096))
        except OSError:
            pass

def clear_it_up(line):
    print(line)
    if "asking again" in line:
        threading.Timer(1.0, filler.unlink).start()

def run_trial(trial):
    if trial.claim.number in (1, 3):
        fill_the_disk()
    trial.epoch_done(made_epoch(1, 50.0), last=trial.claim.number == 1)
    return 50.0

print(work(study, run_trial, log=clear_it_up, files=Path.cwd()).value)
print({str(attempt.state) for attempt in read_results(study).attempts}, len(read_results(study).attempts))
"""


@pytest.mark.slow
def test_a_disk_that_is_full_for_a_while_ends_no_worker(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    answer = run_with_mounts("mount -t tmpfs -o size=2m none disk", ON_A_FULL_DISK, tmp_path)
    assert (answer.returncode, answer.stderr) == (0, "")
    lines = answer.stdout.splitlines()
    assert lines[-2:] == ["the study is finished", "{'complete'} 8"]
    assert "the storage does not answer (database or disk is full); asking again" in lines
    assert any(line.startswith("the storage answers again, after ") for line in lines)
