"""Databases of version 0.5.0 and of a later version: read, brought up to date, worked on, refused."""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy.engine import URL

from mnist_tune import __version__
from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.results.reading import read_results
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.storage.keys import HISTORY
from mnist_tune.storage.migrations import VERSION, version_of
from mnist_tune.storage.statements import put
from mnist_tune.storage.tables import epochs, versions
from mnist_tune.study.copy import copy_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.reuse import create_study_reusing
from mnist_tune.study.store import open_study
from mnist_tune.verification import verify
from mnist_tune.worker.trial import Trial
from tests.support.commands import STORED, Command
from tests.support.forked_processes import run_each
from tests.support.made_studies.epochs import made_epoch
from tests.support.stored_epochs import stored_numbers
from tests.support.studies import new_study, opened_again, take, work

NAME = "half-done"
LOOKS = {
    "status": ["status", NAME],
    "verify": ["verify", NAME],
    "export": ["export", NAME, "--output", "best.toml"],
    "logs": ["logs", NAME],
    "studies": ["studies"],
    "report": ["report", NAME],
}
"""Every command that only looks at a study."""
WRITES = {
    "create-study": ["create-study", "quickstart"],
    "run": ["run", "quickstart"],
    "worker": ["worker", NAME],
    "copy-study to it": ["copy-study", NAME, "--to", f"sqlite:///{STORED}", "--name", "copy"],
    "retry": ["retry", NAME],
    "pause": ["pause", NAME],
    "resume": ["resume", NAME],
    "cancel": ["cancel", NAME],
    "drain": ["drain", NAME, "--host", "host"],
    "set": ["set", NAME, "limits.timeout=30"],
    "delete-study": ["delete-study", NAME, "--yes"],
    "dashboard": ["dashboard"],
}


def dump(file: Path) -> list[str]:
    with sqlite3.connect(file) as connection:
        return list(connection.iterdump())


def version(study: OpenStudy) -> int:
    with study.storage.transaction() as session:
        return version_of(session.connection())


def histories(study: OpenStudy) -> dict[int, list[float | None]]:
    """The accuracies of each trial, by epoch."""
    attempts = read_results(study).attempts
    return {each.number: [epoch["validation_accuracy"] for epoch in each.history] for each in attempts}


NOT_FINISHED = "warning: not finished: 4 of 6 cells have not ended; the best so far may change\n"
BEFORE = {0: [13.0, 13.0], 1: [30.0, 41.0], 2: [30.0], 3: [30.0], 4: [], 5: [], 6: []}


@pytest.mark.parametrize("line", LOOKS.values(), ids=LOOKS.keys())
def test_who_only_looks_at_a_database_of_0_5_0_changes_nothing_in_it(
    file: Path, command: Command, line: list[str]
) -> None:
    before = file.read_bytes()
    answer = command(*line)
    assert (answer.code, answer.err.removeprefix(NOT_FINISHED)) == (0, "")
    assert file.read_bytes() == before


def test_the_epochs_of_0_5_0_are_seen(of_0_5_0: OpenStudy, tmp_path: Path) -> None:
    assert histories(of_0_5_0) == BEFORE
    assert [trial.number for trial in read_results(of_0_5_0).complete] == [0, 1]
    verification = verify(of_0_5_0.storage, NAME, tmp_path / "artifacts", tmp_path / "checkpoints")
    assert [str(finding) for outcome in verification.broken for finding in outcome.findings] == []


@pytest.mark.slow
def test_a_worker_finishes_what_0_5_0_began(of_0_5_0: OpenStudy, command: Command, tmp_path: Path) -> None:
    assert version(of_0_5_0) == 0
    answer = command("worker", NAME, "--device", "cpu")
    assert answer.code == 0
    assert version(of_0_5_0) == 1
    results = read_results(of_0_5_0)
    assert (results.cells.complete, results.cells.total) == (6, 6)
    assert [len(attempt.history) for attempt in results.complete] == [2] * 6
    ran_here = {number: accuracies for number, accuracies in histories(of_0_5_0).items() if number > 3}
    assert histories(of_0_5_0) == {number: BEFORE[number] for number in range(4)} | ran_here
    # What 0.5.0 stored stays where it was; what ran here stands in the table.
    for attempt in results.attempts:
        is_ours = attempt.number > 3
        trial_id = attempt.number + 1
        assert (HISTORY in of_0_5_0.storage.get_trial(trial_id).user_attrs) == (not is_ours)
        assert list(stored_numbers(of_0_5_0.storage, trial_id)) == ([1, 2] if is_ours else [])
    verified = command("verify", NAME)
    assert (verified.code, verified.err) == (0, "")


def test_a_worker_of_0_5_0_loses_nothing_in_a_database_that_was_brought_up_to_date(
    of_0_5_0: OpenStudy, tmp_path: Path
) -> None:
    older = take(of_0_5_0.queue())  # by a worker that runs on
    of_0_5_0.storage.migrate()
    history = [made_epoch(number, 50.0 + number) for number in (1, 2)]
    for n_epochs in (1, 2):  # it writes the attribute anew after each epoch
        written = [each.as_json() for each in history[:n_epochs]]
        reports = {each.epoch: 50.0 + each.epoch for each in history[:n_epochs]}
        with of_0_5_0.storage.guarded(older.trial_id) as session:
            put(session, older.trial_id, user={HISTORY: written, "environment": {}}, reports=reports)
        assert histories(opened_again(of_0_5_0))[older.number] == [51.0, 52.0][:n_epochs]
    stock = RDBStorage(f"sqlite:///{tmp_path}/{STORED}")  # which leaves no result, as 0.5.0 does
    assert stock.set_trial_state_values(older.trial_id, TrialState.COMPLETE, [52.0])
    assert read_results(of_0_5_0).cells.complete == 3
    verification = verify(of_0_5_0.storage, NAME, tmp_path / "artifacts", tmp_path / "checkpoints")
    assert [str(finding) for outcome in verification.broken for finding in outcome.findings] == []


def test_a_study_of_0_5_0_is_copied_and_its_cells_are_taken_over(of_0_5_0: OpenStudy, tmp_path: Path) -> None:
    url = storage_url(f"sqlite:///{tmp_path}/copy.db")
    copy_study(of_0_5_0, url)
    copied = open_study(open_storage(url), NAME)
    assert {number: histories(copied)[number] for number in (0, 1, 2)} == {
        number: BEFORE[number] for number in (0, 1, 2)
    }
    assert (version(of_0_5_0), version(copied)) == (0, 1)
    again = open_storage(url, create=True)
    assert create_study_reusing(again, of_0_5_0.spec.named("again"), NAME) == (True, 2)
    taken = read_results(open_study(again, "again")).complete
    assert sorted([epoch["validation_accuracy"] for epoch in each.history] for each in taken) == [
        [13.0, 13.0],
        [30.0, 41.0],
    ]


@pytest.mark.parametrize("line", (LOOKS | WRITES).values(), ids=(LOOKS | WRITES).keys())
def test_tables_of_a_later_version_are_refused_in_one_line_and_left_alone(
    file: Path, command: Command, line: list[str]
) -> None:
    open_storage(storage_url(f"sqlite:///{file}")).migrate()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE mnist_tune_schema SET version = 2, program = '0.9.0'")
    connection.close()
    before = dump(file)
    answer = command(*line)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        f"mnist-tune: sqlite:///{file}: mnist-tune 0.9.0 made its tables, of version 2; "
        f"this is {__version__}, which knows version 1; install mnist-tune 0.9.0 or a later one\n"
    )
    assert dump(file) == before


def test_a_worker_that_finds_tables_of_a_later_version_writes_nothing(of_0_5_0: OpenStudy) -> None:
    of_0_5_0.storage.migrate()
    with of_0_5_0.storage.transaction() as session:
        session.execute(versions.update().values(version=VERSION + 1, program="1.0\x1b[31m"))
    with pytest.raises(UserError, match=r"install mnist-tune 1\.0\\x1b\[31m or a later one"):
        work(of_0_5_0, one_epoch)
    assert histories(of_0_5_0) == BEFORE


@pytest.mark.parametrize("value", ["'one'", "-1", "0.5", "x'ff'"])
def test_a_version_that_is_none_is_damage(file: Path, value: str) -> None:
    open_storage(storage_url(f"sqlite:///{file}")).migrate()
    with sqlite3.connect(file) as connection:
        connection.execute(f"UPDATE mnist_tune_schema SET version = {value}")
    with pytest.raises(MnistTuneError, match="is damaged: its tables' version is "):
        open_storage(storage_url(f"sqlite:///{file}"))


def test_a_database_is_brought_up_to_date_once(database: str, tmp_path: Path) -> None:
    study = new_study(tmp_path, url=database)
    with study.storage.transaction() as session:
        for table in (epochs, versions):
            table.drop(session.connection())
    url = study.storage.engine.url
    study.storage.engine.dispose()
    assert run_each(partial(migrate_once, url), range(8), at_once=8) == [1] * 8
    with opened_again(study).storage.transaction() as session:
        assert session.execute(sqlalchemy.select(versions.c.version, versions.c.program)).all() == [
            (1, __version__)
        ]


def migrate_once(url: URL, _: int) -> int:
    storage = open_storage(url)
    storage.migrate()
    with storage.transaction() as session:
        return version_of(session.connection())


def one_epoch(trial: Trial) -> float:
    trial.epoch_done(made_epoch(1, 50.0), last=True)
    return 50.0
