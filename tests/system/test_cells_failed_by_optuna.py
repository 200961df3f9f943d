"""Cells that stock Optuna has failed are tried again within their budget."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.storages import fail_stale_trials
from optuna.trial import TrialState

from mnist_tune.contract.claim import Standing
from mnist_tune.failures import Failure
from mnist_tune.records.trained import UNEXPLAINED
from mnist_tune.results.reading import read_results
from mnist_tune.storage.keys import CHECKPOINT, FAILURES
from mnist_tune.storage.optuna_internals import parameters, trials
from mnist_tune.storage.statements import put
from mnist_tune.study.retry import put_back_holes
from mnist_tune.worker.loop import Ended
from tests.support.commands import Command
from tests.support.made_studies.epochs import made_epochs
from tests.support.stock_optuna import (
    GRID_SPEC,
    broken_promises_of,
    by_telling_it,
    stock_study,
    train_one_epoch,
)
from tests.support.studies import new_study, states, take, work
from tests.support.waiting import wait_until


def by_an_exception(study: optuna.Study) -> None:
    def objective(trial: optuna.Trial) -> float:
        raise ValueError(trial.suggest_float("x", 0, 1))

    study.optimize(objective, n_trials=1, catch=ValueError)


def by_its_own_watch(study: optuna.Study) -> None:
    trial = study.ask()
    storage = study._storage
    storage.record_heartbeat(trial._trial_id)  # type: ignore[attr-defined]
    wait_until(lambda: bool(storage._get_stale_trial_ids(study._study_id)))  # type: ignore[attr-defined]
    fail_stale_trials(study)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize(
    "fail",
    [by_telling_it, by_an_exception, by_its_own_watch],
    ids=lambda fail: fail.__name__.replace("_", " "),
)
def test_a_cell_that_stock_optuna_has_failed_is_tried_again_within_its_budget(
    tmp_path: Path, command: Command, fail: Callable[[optuna.Study], None]
) -> None:
    study = new_study(tmp_path, GRID_SPEC.replace("[training]", "[retry]\nlost = 1\n\n[training]"))
    other = stock_study(tmp_path, heartbeat_interval=1, grace_period=1)
    fail(other)
    results = read_results(study)
    assert (results.cells.waiting, results.cells.failed, results.is_finished) == (2, 0, False)
    assert command("status", "tiny").code == 0
    queue = study.queue()
    assert queue.put_back_stale() == {0: f"{UNEXPLAINED.reason}; put the cell back"}
    assert study.queue().put_back_stale() == {}
    assert states(study) == [TrialState.FAIL, TrialState.WAITING, TrialState.WAITING]
    assert broken_promises_of(study, tmp_path) == []

    while claim := queue.claim("worker"):
        if claim.number == 2:
            other.tell(2, state=TrialState.FAIL)
            continue
        queue.complete(claim, 42.0)
    assert queue.standing() is Standing.OPEN
    spent = "its cell is not put back: the budget of retry.lost is spent"
    assert study.queue().put_back_stale() == {2: f"{UNEXPLAINED.reason}; {spent}"}
    assert queue.standing() is Standing.FINISHED
    (hole,) = read_results(study).holes
    assert hole.failure == {"class": "lost", "reason": "another program than a worker ended it as failed"}
    assert broken_promises_of(study, tmp_path) == []


@pytest.mark.parametrize("has_its_reason", [True, False])
def test_a_failed_cell_counts_as_open_as_long_as_workers_put_it_back_whatever_else_is_damaged(
    tmp_path: Path, has_its_reason: bool
) -> None:
    study = new_study(tmp_path, GRID_SPEC)
    claim = take(study.queue())
    stock_study(tmp_path).tell(claim.number, state=TrialState.FAIL)
    with study.storage.transaction() as session:
        session.execute(sqlalchemy.text("UPDATE trials SET datetime_complete = 'yesterday' WHERE number = 0"))
        if has_its_reason:
            put(session, claim.trial_id, user={"failure": 5})
    results = read_results(study)
    assert "trial 0: its end should be a time, not 'yesterday'" in results.problems
    is_open = not has_its_reason
    assert (len(results.holes), results.cells.waiting) == ((0, 2) if is_open else (1, 1))
    assert list(study.queue().put_back_stale()) == ([0] if is_open else [])


DAMAGES = {
    "its epochs": "UPDATE mnist_tune_epochs SET metrics = '{'",
    "where it goes on": "UPDATE trial_system_attributes SET value_json = '{' WHERE key LIKE '%checkpoint'",
    "its failures": "UPDATE trial_system_attributes SET value_json = '{' WHERE key LIKE '%failures'",
    "a time": "UPDATE trials SET datetime_start = 'yesterday' WHERE number = 0",
    "a report": "UPDATE trial_intermediate_values SET intermediate_value_type = 'odd'",
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_cell_is_tried_again_though_what_nobody_needs_of_its_last_attempt_is_damaged(
    tmp_path: Path, damage: str
) -> None:
    study = new_study(tmp_path, GRID_SPEC)
    queue = study.queue()
    claim = take(queue)
    left: dict[str, Any] = {CHECKPOINT: {}, FAILURES: {}}
    queue.record(claim, system=left, reports={1: 42.0}, epochs=made_epochs([42.0]))
    with study.storage.transaction() as session:
        assert session.connection().exec_driver_sql(damage).rowcount == 1
    assert queue.give_back(claim, Failure("preempted", "drained"))
    assert [take(queue).parameters for _ in range(2)][1] == claim.parameters
    assert not any(line.startswith("failure counts: ") for line in broken_promises_of(study, tmp_path))


def test_retry_puts_back_what_it_can_and_names_what_nobody_can_try_again(
    tmp_path: Path, command: Command
) -> None:
    study = new_study(tmp_path, GRID_SPEC)
    queue = study.queue()
    for _ in range(2):
        assert queue.give_back(take(queue), Failure("exception", "broke"))
    while claim := queue.claim("worker"):
        queue.give_back(claim, Failure("exception", "broke"))
    first, second = (hole.number for hole in read_results(study).holes)
    with study.storage.transaction() as session:
        damaged = trials.c.number == first, parameters.c.trial_id == trials.c.trial_id
        session.execute(parameters.update().where(*damaged).values(distribution_json="{"))
    answer = command("retry", "tiny")
    assert answer.code == 1
    assert answer.out.startswith(f"put back the cell of trial {second}\n")
    said = (
        f"trial {first}: its cell is not put back: its learning_rate has a distribution that cannot be read"
    )
    assert answer.err.startswith(said)
    assert command("retry", "tiny", "--trial", str(first)).code == 1
    assert "no cell" not in command("retry", "tiny").out


def test_a_failed_cell_that_was_put_back_before_is_not_put_back_twice(tmp_path: Path) -> None:
    study = new_study(tmp_path, GRID_SPEC)
    by_telling_it(stock_study(tmp_path))
    assert list(study.queue().put_back_stale()) == [0]
    without_reason = sqlalchemy.text("DELETE FROM trial_user_attributes WHERE key = 'failure'")
    with study.storage.transaction() as session:
        session.execute(without_reason)
    assert study.queue().put_back_stale() == {0: f"{UNEXPLAINED.reason}; its cell was put back before"}
    assert states(study) == [TrialState.FAIL, TrialState.WAITING, TrialState.WAITING]


@pytest.mark.parametrize(
    ("lost", "its_cell"),
    [
        (1, "put the cell back"),
        (0, "its cell is not put back: the budget of retry.lost is spent"),
    ],
)
def test_a_workers_log_says_what_became_of_a_cell_that_stock_optuna_has_failed(
    tmp_path: Path, lost: int, its_cell: str
) -> None:
    study = new_study(tmp_path, GRID_SPEC.replace("[training]", f"[retry]\nlost = {lost}\n\n[training]"))
    by_telling_it(stock_study(tmp_path))
    lines: list[str] = []
    assert work(study, train_one_epoch, log=lines.append) is Ended.FINISHED
    said = [line for line in lines if line.startswith("trial 0: ")]
    assert said == [f"trial 0: another program than a worker ended it as failed; {its_cell}"]
    assert len(read_results(study).complete) == 1 + lost


@pytest.mark.slow
def test_a_trial_that_stock_optuna_asked_for_and_forgot_comes_back_after_the_grace_period(
    tmp_path: Path,
) -> None:
    study = new_study(tmp_path, GRID_SPEC)
    stock_study(tmp_path).ask()
    assert work(study, train_one_epoch) is Ended.FINISHED
    assert read_results(study).cells.complete == 2
    assert broken_promises_of(study, tmp_path) == []


def test_a_cell_is_numbered_on_from_the_last_where_others_were_deleted(tmp_path: Path) -> None:
    study = new_study(tmp_path, GRID_SPEC)
    with study.storage.transaction() as session:
        session.execute(trials.delete().where(trials.c.number == 0))
    by_telling_it(stock_study(tmp_path))
    study.queue().put_back_stale()
    assert [trial.number for trial in study.storage.get_all_trials(study.study_id)] == [1, 2]


@pytest.mark.parametrize("number", ["'x'", "-1"])
def test_a_cell_whose_retry_cannot_be_read_is_not_put_back_a_second_time(tmp_path: Path, number: str) -> None:
    study = new_study(tmp_path, GRID_SPEC)
    queue = study.queue()
    queue.give_back(take(queue), Failure("exception", "broke"))
    with study.storage.transaction() as session:
        session.execute(sqlalchemy.text(f"UPDATE trials SET number = {number} WHERE number = 2"))
    assert put_back_holes(study) == ([], {0: "a later attempt at it cannot be read"})
    done = 0
    while claim := queue.claim("worker"):
        queue.complete(claim, 42.0)
        done += 1
    assert done == 2
