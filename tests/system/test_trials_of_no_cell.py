"""Trials, results and notes that other programs add to a study or delete from it."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from mnist_tune.contract.study import LeaseLost
from mnist_tune.dashboard.snapshots import SnapshotStorage
from mnist_tune.failures import Failure
from mnist_tune.results.reading import read_results
from mnist_tune.search.history import LearntFrom
from mnist_tune.storage.optuna_internals import trials
from mnist_tune.study.reuse import finished_cells
from mnist_tune.study.store import create_study, open_study
from mnist_tune.worker.loop import Ended
from mnist_tune.worker.trial import Trial
from tests.support.commands import Command
from tests.support.made_studies.epochs import made_epoch
from tests.support.specs import tiny_spec
from tests.support.stock_optuna import (
    GRID_SPEC,
    broken_promises_of,
    by_optimize,
    stock_study,
    train_one_epoch,
)
from tests.support.studies import new_study, take, work


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


def test_untrained_cells_are_not_taken_over_by_another_study(tmp_path: Path) -> None:
    study = new_study(tmp_path, GRID_SPEC)
    queue = study.queue()
    queue.complete(take(queue), 42.0)
    by_optimize(stock_study(tmp_path))
    assert finished_cells(study, tiny_spec(tmp_path, GRID_SPEC)).keys() == {0}


def test_stock_optuna_may_delete_a_study_under_its_worker(tmp_path: Path) -> None:
    study = new_study(tmp_path, GRID_SPEC)

    def deleted_meanwhile(trial: Trial) -> float:
        optuna.delete_study(study_name="tiny", storage=f"sqlite:///{tmp_path}/studies.db")
        with pytest.raises(LeaseLost):
            trial.epoch_done(made_epoch(1, 50.0))
        raise LeaseLost

    with pytest.raises(Exception, match="the study was deleted while this worker was on it"):
        work(study, deleted_meanwhile)
