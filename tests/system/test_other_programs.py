"""What other programs do to a study is right, refused or named in one line; they never make a winner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
import psycopg
import pytest
import sqlalchemy
from optuna.samplers import GridSampler
from optuna.storages import RDBStorage, fail_stale_trials
from optuna.trial import TrialState

from mnist_tune.dashboard.snapshots import SnapshotStorage
from mnist_tune.failures import Failure
from mnist_tune.queue.lease import LeaseLost
from mnist_tune.queue.queue import Standing
from mnist_tune.records.trained import UNEXPLAINED
from mnist_tune.results.reading import read_results
from mnist_tune.search.history import LearntFrom
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.storage.keys import CHECKPOINT, FAILURES, RESULT, VERSION
from mnist_tune.storage.optuna_internals import parameters, system_attributes, trials
from mnist_tune.storage.statements import put
from mnist_tune.study.delete import delete_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.retry import put_back_holes
from mnist_tune.study.reuse import finished_cells
from mnist_tune.study.store import create_study, open_study
from mnist_tune.verification import verify
from mnist_tune.worker.attempt import Attempt
from mnist_tune.worker.loop import Ended
from tests.support.commands import Command
from tests.support.specs import TWO_CELLS, lease, tiny_spec
from tests.support.studies import epoch, new_study, states, take, work
from tests.support.waiting import wait_until

GRID_SPEC = TWO_CELLS + "\n[training]\nepochs = 1\n" + lease(0.05, 0.3)
SAMPLED_SPEC = """
[study]
name = "tiny"

[search]
sampler = "tpe"
n_trials = 2

[search.space]
learning_rate = {low = 0.0001, high = 0.1, log = true}

[training]
epochs = 1
"""


def stock_study(folder: Path, name: str = "tiny", **options: Any) -> optuna.Study:
    """The study as a program without mnist-tune opens it."""
    return optuna.load_study(study_name=name, storage=RDBStorage(f"sqlite:///{folder}/studies.db", **options))


def train_one_epoch(attempt: Attempt) -> float:
    """One epoch."""
    attempt.epoch_done(epoch(1, 50.0 + attempt.claim.number), last=True)
    return 50.0 + attempt.claim.number


def broken_promises_of(study: OpenStudy, folder: Path) -> list[str]:
    """What `verify` finds broken."""
    verification = verify(study.storage, study.name, folder / "artifacts", folder / "checkpoints")
    return [f"{outcome.check}: {finding}" for outcome in verification.broken for finding in outcome.findings]


def by_optimize(study: optuna.Study) -> None:
    study.optimize(lambda _: 99.0, n_trials=2)


def by_a_grid_sampler(study: optuna.Study) -> None:
    study.sampler = GridSampler({"learning_rate": [0.001, 0.0001]})
    study.optimize(lambda trial: 98 + trial.suggest_categorical("learning_rate", [0.001, 0.0001]))


def by_ask_and_tell(study: optuna.Study) -> None:
    for value in (99.0, float("inf")):
        study.tell(study.ask(), value)


def as_pruned(study: optuna.Study) -> None:
    for _ in range(2):
        trial = study.ask()
        trial.report(99.0, 1)
        study.tell(trial, state=TrialState.PRUNED)


def with_parameters_of_its_own(study: optuna.Study) -> None:
    study.optimize(lambda trial: trial.suggest_float("x", 98, 99), n_trials=2)


def with_attributes_of_its_own(study: optuna.Study) -> None:
    for _ in range(2):
        trial = study.ask()
        trial.set_user_attr("history", [{"validation_accuracy": 99.0}])
        study.tell(trial, 99.0)


@pytest.mark.parametrize(
    ("spec", "end"),
    [
        (GRID_SPEC, by_optimize),
        (GRID_SPEC, by_a_grid_sampler),
        (GRID_SPEC, by_ask_and_tell),
        (SAMPLED_SPEC, by_ask_and_tell),
        (GRID_SPEC, as_pruned),
        (SAMPLED_SPEC, with_parameters_of_its_own),
        (SAMPLED_SPEC, with_attributes_of_its_own),
    ],
    ids=lambda value: "" if isinstance(value, str) else value.__name__.replace("_", " "),
)
def test_cells_that_stock_optuna_has_ended_are_missing_until_they_are_put_back(
    tmp_path: Path, spec: str, end: Callable[[optuna.Study], None]
) -> None:
    study = new_study(tmp_path, spec)
    end(stock_study(tmp_path))
    results = read_results(study)
    assert (results.ranking, results.cells.failed, results.is_finished) == ([], 2, True)
    assert LearntFrom(study.storage, study.study_id).get_all_trials() == []
    assert sum(line.startswith("claims: ") for line in broken_promises_of(study, tmp_path)) == 2

    assert put_back_holes(study).numbers == [0, 1]
    assert work(study, train_one_epoch) is Ended.FINISHED
    results = read_results(study)
    assert results.cells.complete == 2
    assert max(place.candidate.mean for place in results.ranking) < 60
    assert stock_study(tmp_path).best_value < 60
    assert broken_promises_of(study, tmp_path) == []


def test_every_command_names_cells_that_stock_optuna_has_ended_and_the_remedy(
    tmp_path: Path, command: Command
) -> None:
    study = new_study(tmp_path, GRID_SPEC)
    by_ask_and_tell(stock_study(tmp_path))
    status = command("status", "tiny")
    assert (status.code, status.err) == (1, "")
    assert status.out.count("failed for good: another program than a worker ended it") == 2
    assert "put back what is missing with: mnist-tune retry tiny --failed" in status.out
    export = command("export", "tiny")
    assert (export.code, "'mnist-tune retry tiny --failed'" in export.err) == (2, True)
    assert command("report", "tiny").code == 0
    assert "tiny: 0/2 cells, 2 failed" in command("studies").out
    assert "mnist-tune retry tiny --trial 1" in command("verify", "tiny").out
    assert command("retry", "tiny", "--failed").code == 0
    assert work(study, train_one_epoch) is Ended.FINISHED
    assert command("status", "tiny").code == 0


def test_the_dashboard_has_no_best_trial_that_was_not_trained(tmp_path: Path) -> None:
    study = new_study(tmp_path, GRID_SPEC)
    queue = study.queue()
    queue.complete(take(queue), 42.0)
    other = stock_study(tmp_path)
    other.tell(other.ask(), 99.0)
    other.add_trial(optuna.trial.create_trial(value=98.0))
    shown = SnapshotStorage(study.storage)
    assert shown.get_best_trial(study.study_id).value == 42.0
    found = [trial.state for trial in shown.get_all_trials(study.study_id)]
    assert found == [TrialState.COMPLETE, TrialState.FAIL, TrialState.FAIL]


def test_one_cell_that_stock_optuna_has_told_is_put_back_beside_the_trained_ones(
    tmp_path: Path, command: Command
) -> None:
    study = new_study(tmp_path, GRID_SPEC)
    queue = study.queue()
    queue.complete(take(queue), 42.0)
    told = stock_study(tmp_path)
    told.tell(told.ask(), 99.0)
    results = read_results(study)
    assert results.best is not None
    assert results.best.mean == 42.0
    assert [hole.number for hole in results.holes] == [1]
    assert command("retry", "tiny", "--trial", "0").code == 2
    assert command("retry", "tiny", "--trial", "1").out.startswith("put back the cell of trial 1\n")
    assert states(study) == [TrialState.COMPLETE, TrialState.FAIL, TrialState.WAITING]
    assert command("retry", "tiny").out == "no cell of 'tiny' has failed for good\n"


@pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL])
def test_a_trial_that_is_told_while_its_worker_trains_is_lost_to_it_and_not_trained(
    tmp_path: Path, state: TrialState
) -> None:
    study = new_study(tmp_path, GRID_SPEC)

    def told_meanwhile(attempt: Attempt) -> float:
        if attempt.claim.number == 0:
            values = None if state is TrialState.FAIL else [99.0]
            RDBStorage(f"sqlite:///{tmp_path}/studies.db").set_trial_state_values(
                attempt.claim.trial_id, state, values
            )
        return train_one_epoch(attempt)

    lines: list[str] = []
    ended = work(study, told_meanwhile, log=lines.append, max_trials=2)
    assert ended is Ended.ENOUGH
    assert "trial 0: the lease is lost; abandoned, another worker has the cell" in lines
    results = read_results(study)
    assert [attempt.number for attempt in results.complete] == [1]
    assert results.attempts[0].state == "failed"


def by_telling_it(study: optuna.Study) -> None:
    study.tell(study.ask(), state=TrialState.FAIL)


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
    "its epochs": "UPDATE trial_user_attributes SET value_json = '{' WHERE key = 'history'",
    "where it goes on": "UPDATE trial_system_attributes SET value_json = '{' WHERE key LIKE '%checkpoint'",
    "its failures": "UPDATE trial_system_attributes SET value_json = '{' WHERE key LIKE '%failures'",
    "a time": "UPDATE trials SET datetime_start = 'yesterday' WHERE number = 0",
    "a report": "UPDATE trial_intermediate_values SET intermediate_value_type = 'odd'",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_cell_is_tried_again_though_what_nobody_needs_of_its_last_attempt_is_damaged(
    tmp_path: Path, damage: str
) -> None:
    study = new_study(tmp_path, GRID_SPEC)
    queue = study.queue()
    claim = take(queue)
    left: dict[str, Any] = {CHECKPOINT: {}, FAILURES: {}}
    queue.record(claim, user={"history": []}, system=left, reports={1: 42.0})
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


def test_a_trial_that_stock_optuna_asked_for_and_forgot_comes_back_after_the_grace_period(
    tmp_path: Path,
) -> None:
    study = new_study(tmp_path, GRID_SPEC)
    stock_study(tmp_path).ask()
    assert work(study, train_one_epoch) is Ended.FINISHED
    assert read_results(study).cells.complete == 2
    assert broken_promises_of(study, tmp_path) == []


def test_trials_of_no_cell_are_named_and_never_ranked(tmp_path: Path, command: Command) -> None:
    study = new_study(tmp_path, GRID_SPEC)
    other = stock_study(tmp_path)
    other.enqueue_trial({"learning_rate": 0.5})
    other.add_trial(optuna.trial.create_trial(value=99.0))
    assert work(study, train_one_epoch) is Ended.FINISHED
    results = read_results(study)
    assert results.best is not None
    assert results.best.mean < 60
    assert results.warnings == [
        "made by another program, of no cell, run by no worker and in no ranking: trial 2, trial 3"
    ]
    status = command("status", "tiny")
    assert status.code == 0
    assert "warning: made by another program, of no cell" in status.out
    assert {trial.number for trial in LearntFrom(study.storage, study.study_id).get_all_trials()} == {0, 1}
    assert broken_promises_of(study, tmp_path) == []


def test_finished_trials_that_are_added_from_another_study_do_not_count(tmp_path: Path) -> None:
    donor = new_study(tmp_path, GRID_SPEC.replace("tiny", "donor"))
    assert work(donor, lambda _: 99.0) is Ended.FINISHED
    study = new_study(tmp_path, GRID_SPEC)
    stock_study(tmp_path).add_trials(stock_study(tmp_path, "donor").trials)
    assert read_results(study).ranking == []
    assert work(study, train_one_epoch) is Ended.FINISHED
    results = read_results(study)
    assert results.best is not None
    assert results.best.mean < 60
    assert results.warnings == [
        "trial 2 does not count: trial 0 is for the same cell",
        "trial 3 does not count: trial 1 is for the same cell",
    ]
    assert any(line.startswith("order") for line in broken_promises_of(study, tmp_path))


def test_finished_trials_of_another_study_never_count_whatever_comes_of_our_own(tmp_path: Path) -> None:
    donor = new_study(tmp_path, GRID_SPEC.replace("tiny", "donor"))
    assert work(donor, lambda _: 99.0) is Ended.FINISHED
    study = new_study(tmp_path, GRID_SPEC)
    other = stock_study(tmp_path)
    other.add_trials(stock_study(tmp_path, "donor").trials)
    queue = study.queue()
    assert queue.give_back(take(queue), Failure("preempted", "drained"))
    while claim := queue.claim("worker"):
        queue.complete(claim, 42.0)
    results = read_results(study)
    assert (results.best and results.best.mean, results.cells.complete) == (42.0, 2)
    learnt = LearntFrom(study.storage, study.study_id).get_all_trials()
    assert [trial.value for trial in learnt] == [42.0, 42.0]
    assert SnapshotStorage(study.storage).get_best_trial(study.study_id).value == 42.0


def test_a_result_that_is_taken_over_is_that_of_its_new_trial(tmp_path: Path) -> None:
    old = new_study(tmp_path, GRID_SPEC)
    queue = old.queue()
    assert queue.give_back(take(queue), Failure("preempted", "drained"))
    while claim := queue.claim("worker"):
        queue.complete(claim, 42.0)
    spec = tiny_spec(tmp_path, GRID_SPEC.replace("tiny", "new"))
    assert create_study(old.storage, spec, finished_cells(old, spec))
    new = open_study(old.storage, "new")
    assert read_results(new).cells.complete == 2
    assert len(LearntFrom(new.storage, new.study_id).get_all_trials()) == 2


def test_notes_and_attributes_of_others_change_nothing(tmp_path: Path) -> None:
    study = new_study(tmp_path, GRID_SPEC)
    other = stock_study(tmp_path)
    other.set_user_attr("owner", "somebody")
    other._storage.set_study_system_attr(other._study_id, "dashboard:note_ver", 1)
    for trial in other.get_trials():
        other._storage.set_trial_user_attr(trial._trial_id, "seen", True)
    assert work(study, train_one_epoch) is Ended.FINISHED
    assert read_results(study).cells.complete == 2
    assert broken_promises_of(study, tmp_path) == []


def test_a_deleted_cell_is_named_and_made_anew(tmp_path: Path, command: Command) -> None:
    study = new_study(tmp_path, GRID_SPEC)
    queue = study.queue()
    queue.complete(take(queue), 42.0)
    with study.storage.transaction() as session:
        session.execute(trials.delete().where(trials.c.number == 1))
    status = command("status", "tiny")
    assert status.code == 1
    assert "warning: no trial of cell 1 is left: somebody deleted it" in status.out
    answer = command("retry", "tiny", "--failed", "--json")
    assert answer.json == {"study": "tiny", "retried": [], "made_anew": [1], "left": []}
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


def test_untrained_cells_are_not_taken_over_by_another_study(tmp_path: Path) -> None:
    study = new_study(tmp_path, GRID_SPEC)
    queue = study.queue()
    queue.complete(take(queue), 42.0)
    by_optimize(stock_study(tmp_path))
    assert finished_cells(study, tiny_spec(tmp_path, GRID_SPEC)).keys() == {0}


def test_a_trial_of_version_0_5_0_is_known_by_the_accuracy_of_its_last_epoch(tmp_path: Path) -> None:
    study = new_study(tmp_path, GRID_SPEC)
    assert work(study, train_one_epoch) is Ended.FINISHED
    without_results(study)
    assert len(read_results(study).ranking) == 2
    assert len(LearntFrom(study.storage, study.study_id).get_all_trials()) == 2
    assert SnapshotStorage(study.storage).get_best_trial(study.study_id).value == 51.0
    assert broken_promises_of(study, tmp_path) == []
    of_version(study, "0.6.0.dev1")
    assert read_results(study).cells.failed == 2
    assert LearntFrom(study.storage, study.study_id).get_all_trials() == []


def without_results(study: OpenStudy) -> None:
    """Make it one of version 0.5.0."""
    of_version(study, "0.5.0")
    with study.storage.transaction() as session:
        session.execute(system_attributes.delete().where(system_attributes.c.key == RESULT))


def of_version(study: OpenStudy, version: str) -> None:
    study.storage.set_study_user_attr(study.study_id, VERSION, version)


@pytest.mark.parametrize("version", ["0.5.0", "0.6.0.dev0", "0.6.0"])
@pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.PRUNED])
def test_a_trial_that_is_told_between_two_epochs_was_not_trained(
    tmp_path: Path, version: str, state: TrialState
) -> None:
    study = new_study(tmp_path, GRID_SPEC.replace("epochs = 1", "epochs = 2"))
    of_version(study, version)
    queue = study.queue()
    claim = take(queue)
    queue.record(claim, user={"history": [asdict(epoch(1, 42.0))]}, reports={1: 42.0})
    stock_study(tmp_path).tell(claim.number, 42.0 if state is TrialState.COMPLETE else None, state=state)
    assert [hole.number for hole in read_results(study).holes] == [claim.number]
    assert LearntFrom(study.storage, study.study_id).get_all_trials() == []
    assert any(line.startswith("claims: ") for line in broken_promises_of(study, tmp_path))


def test_a_result_of_version_0_5_0_whose_history_cannot_be_read_is_damaged_and_kept(
    tmp_path: Path, command: Command
) -> None:
    study = new_study(tmp_path, GRID_SPEC)
    assert work(study, train_one_epoch) is Ended.FINISHED
    without_results(study)
    impossible = [asdict(epoch(1, 50.0)) | {"images_per_second": float("inf")}]
    with study.storage.transaction() as session:
        put(session, 1, user={"history": impossible})
    results = read_results(study)
    assert (results.holes, [attempt.number for attempt in results.complete]) == ([], [1])
    assert any("images/s" in problem for problem in results.problems)
    assert [trial.number for trial in LearntFrom(study.storage, study.study_id).get_all_trials()] == [1]
    before = states(study)
    assert command("retry", "tiny").out == "no cell of 'tiny' has failed for good\n"
    assert states(study) == before == [TrialState.COMPLETE, TrialState.COMPLETE]


@pytest.mark.parametrize(("file", "name"), [("copy.db", "tiny"), ("studies.db", "twin")])
def test_a_copy_that_stock_optuna_made_works_like_any_study(
    tmp_path: Path, command: Command, file: str, name: str
) -> None:
    study = new_study(tmp_path, GRID_SPEC)
    queue = study.queue()
    queue.complete(take(queue), 42.0)
    take(queue)  # seems to run in the copy as well
    url = f"sqlite:///{tmp_path}/{file}"
    optuna.copy_study(
        from_study_name="tiny",
        from_storage=f"sqlite:///{tmp_path}/studies.db",
        to_storage=url,
        to_study_name=name,
    )
    at = ("--storage", url)
    for asked in ("status", "logs", "export"):
        answer = command(asked, name, *at)
        assert (answer.code, "a bug" in answer.err) == (0, False), asked
    assert f"{name}: 1/2 cells" in command("studies", *at).out
    assert command("drain", name, "--host", "here", *at).err.endswith("there are none\n")
    assert command("pause", name, *at).code == command("resume", name, *at).code == 0

    copy = open_study(open_storage(storage_url(url)), name)
    assert broken_promises_of(copy, tmp_path / "copy") == [
        "heartbeats: trial 1, cell 1: runs without a heartbeat: any worker puts the cell back"
    ]
    assert work(copy, train_one_epoch, files=tmp_path / "copy") is Ended.FINISHED
    assert read_results(copy).cells.complete == 2
    assert len(read_results(copy).workers) == 1
    assert [str(line) for line in broken_promises_of(copy, tmp_path / "copy")] == []
    assert read_results(study).cells.running == 1
    assert command("delete-study", name, "--yes", *at).code == 0


@pytest.mark.postgres
def test_on_a_server_too_what_stock_optuna_ended_comes_back_and_its_copy_works(
    postgres: str, server: str, tmp_path: Path
) -> None:
    study = new_study(tmp_path, GRID_SPEC, postgres)
    url = study.storage.engine.url.render_as_string(hide_password=False)
    other = optuna.load_study(study_name="tiny", storage=url)
    other.tell(other.ask(), state=TrialState.FAIL)
    other.tell(other.ask(), 99.0)
    assert list(study.queue().put_back_stale()) == [0]
    assert put_back_holes(study).numbers == [1]
    assert states(study) == [TrialState.FAIL, TrialState.FAIL, TrialState.WAITING, TrialState.WAITING]
    optuna.copy_study(from_study_name="tiny", from_storage=url, to_storage=url, to_study_name="twin")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS copy WITH (FORCE)")
        connection.execute("CREATE DATABASE copy")
    far = url.removesuffix("studies") + "copy"
    optuna.copy_study(from_study_name="tiny", from_storage=url, to_storage=far)
    for name, there in (("tiny", url), ("twin", url), ("tiny", far)):
        opened = open_study(open_storage(storage_url(there)), name)
        assert read_results(opened).workers == []
        assert work(opened, train_one_epoch, files=tmp_path / name) is Ended.FINISHED
        assert read_results(opened).cells.complete == 2
        assert broken_promises_of(opened, tmp_path / name) == []
        delete_study(opened)
        opened.storage.engine.dispose()


def test_a_copy_that_stock_optuna_made_can_be_deleted_before_any_worker_was_on_it(
    tmp_path: Path, command: Command
) -> None:
    new_study(tmp_path, GRID_SPEC)
    source, url = (f"sqlite:///{tmp_path}/{file}" for file in ("studies.db", "copy.db"))
    optuna.copy_study(from_study_name="tiny", from_storage=source, to_storage=url)
    assert command("delete-study", "tiny", "--yes", "--storage", url).code == 0
    assert command("studies", "--storage", url).out.startswith("no studies")


def test_stock_optuna_may_delete_a_study_under_its_worker(tmp_path: Path) -> None:
    study = new_study(tmp_path, GRID_SPEC)

    def deleted_meanwhile(attempt: Attempt) -> float:
        optuna.delete_study(study_name="tiny", storage=f"sqlite:///{tmp_path}/studies.db")
        with pytest.raises(LeaseLost):
            attempt.epoch_done(epoch(1, 50.0))
        raise LeaseLost

    with pytest.raises(Exception, match="the study was deleted while this worker was on it"):
        work(study, deleted_meanwhile)
