"""What every trial costs the storage: few transactions, and statements that were compiled before."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import func, select
from sqlalchemy.sql.compiler import SQLCompiler

from mnist_tune.results.reading import read_results
from mnist_tune.storage.keys import RESULT
from mnist_tune.storage.optuna_internals import user_attributes
from mnist_tune.storage.tables import epochs
from mnist_tune.worker.trial import Trial
from tests.support.made_studies.epochs import made_epoch
from tests.support.stored_epochs import stored_numbers
from tests.support.studies import new_study, open_file, take, work

EPOCHS = 1_000


def one_epoch(trial: Trial) -> float:
    trial.epoch_done(made_epoch(1, 50.0), last=True)
    return 50.0


def test_a_trial_of_one_epoch_is_two_transactions(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    commits: list[object] = []
    when_trials_began: list[int] = []

    def run_trial(trial: Trial) -> float:
        when_trials_began.append(len(commits))
        return one_epoch(trial)

    sqlalchemy.event.listen(study.storage.engine, "commit", commits.append)
    work(study, run_trial)
    # The least, since a heartbeat may fall into a trial.
    assert min(after - before for before, after in pairwise(when_trials_began)) == 2


def test_the_end_of_a_trial_is_one_statement_for_each_table_and_one_to_hold_the_row(
    tmp_path: Path,
) -> None:
    study = new_study(tmp_path)
    queue = study.queue()
    claim = take(queue)
    statements: list[str] = []
    sqlalchemy.event.listen(
        study.storage.engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2])
    )
    queue.complete(claim, 50.0, user={"a": 1}, system={"b": 2}, reports={1: 50.0}, epochs={1: {"loss": 1.0}})
    tables = [statement.split()[1 if statement.startswith("UPDATE") else 2] for statement in statements]
    assert tables == [
        "trials",
        "trial_user_attributes",
        "trial_system_attributes",
        "trial_intermediate_values",
        "mnist_tune_epochs",
        "trial_values",
        "trials",
    ]
    assert {"b", RESULT} <= study.storage.get_trial(claim.trial_id).system_attrs.keys()


def test_the_last_epoch_is_stored_with_the_end_of_the_trial(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    other = open_file(tmp_path)
    before: list[dict[int, float]] = []

    def run_trial(trial: Trial) -> float:
        accuracy = one_epoch(trial)
        before.append(other.get_trial(trial.claim.trial_id).intermediate_values)
        return accuracy

    work(study, run_trial)
    assert before == [{}] * 8
    assert [trial.intermediate_values for trial in study.optuna_study().trials] == [{1: 50.0}] * 8
    assert [len(attempt.history) for attempt in read_results(study).attempts] == [1] * 8


def test_the_last_epoch_of_a_trial_that_fails_after_it_is_stored_too(tmp_path: Path) -> None:
    def run_trial(trial: Trial) -> float:
        one_epoch(trial)
        raise OSError("the weights do not fit on the disk")

    study = new_study(tmp_path)
    work(study, run_trial, max_trials=1)
    (failed,) = [attempt for attempt in read_results(study).attempts if attempt.failure]
    assert len(failed.history) == 1


def test_an_epoch_is_one_row_of_each_table_however_many_there_were_before(tmp_path: Path) -> None:
    attempt_at: list[int] = []
    sizes: list[int] = []

    def note(*arguments: Any) -> None:
        written = arguments[2].split()[0] in ("INSERT", "UPDATE")
        if written and attempt_at:
            sizes[-1] += len(repr(arguments[3]))

    def run_trial(trial: Trial) -> float:
        attempt_at.append(trial.claim.trial_id)
        for number in range(1, EPOCHS + 1):
            sizes.append(0)
            trial.epoch_done(made_epoch(number, 50.0))
        attempt_at.clear()
        return 50.0

    study = new_study(tmp_path)
    sqlalchemy.event.listen(study.storage.engine, "before_cursor_execute", note)
    work(study, run_trial, max_trials=1)
    assert (
        len(stored_numbers(study.storage, 1)) == len(study.storage.get_trial(1).intermediate_values) == EPOCHS
    )
    with study.storage.transaction() as session:
        stored = session.execute(select(func.sum(func.length(epochs.c.metrics)))).scalar_one()
        attributes = session.execute(select(func.sum(func.length(user_attributes.c.value_json)))).scalar_one()
    assert stored < 200 * EPOCHS
    assert attributes < 1000  # none of them grows with the epochs
    # A heartbeat may fall into an epoch; the numbers of the epochs get longer.
    assert sorted(sizes)[EPOCHS // 2] < 1000
    assert sum(sizes) < 1000 * EPOCHS


def test_only_the_first_trial_of_a_worker_compiles_statements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = new_study(tmp_path)
    compiling: set[int] = set()
    number = 0
    compile_statement = SQLCompiler.__init__

    def note(*arguments: Any, **named: Any) -> None:
        compiling.add(number)
        compile_statement(*arguments, **named)

    def run_trial(trial: Trial) -> float:
        nonlocal number
        number = trial.claim.number
        return one_epoch(trial)

    study.storage.engine.clear_compiled_cache()  # which tests of this process share
    monkeypatch.setattr(SQLCompiler, "__init__", note)
    work(study, run_trial)
    assert compiling == {0, 7}  # after the last one the worker finds that the study is finished


def test_a_queue_that_is_asked_all_the_time_for_silent_workers_looks_now_and_then(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    queue = study.queue()
    queue.claim("worker")
    statements: list[str] = []
    sqlalchemy.event.listen(
        study.storage.engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2])
    )
    for _ in range(100):
        queue.put_back_stale()
    assert 1 <= len(statements) < 10
