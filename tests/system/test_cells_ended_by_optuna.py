"""Cells that stock Optuna has ended are missing until they are put back; they never win."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.samplers import GridSampler
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from mnist_tune.dashboard.snapshots import SnapshotStorage
from mnist_tune.results.reading import read_results
from mnist_tune.search.history import LearntFrom
from mnist_tune.study.retry import put_back_holes
from mnist_tune.worker.loop import Ended
from mnist_tune.worker.trial import Trial
from tests.support.commands import Command
from tests.support.stock_optuna import (
    GRID_SPEC,
    SAMPLED_SPEC,
    broken_promises_of,
    by_optimize,
    stock_study,
    train_one_epoch,
)
from tests.support.studies import new_study, states, take, work


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

    def told_meanwhile(trial: Trial) -> float:
        if trial.claim.number == 0:
            values = None if state is TrialState.FAIL else [99.0]
            RDBStorage(f"sqlite:///{tmp_path}/studies.db").set_trial_state_values(
                trial.claim.trial_id, state, values
            )
        return train_one_epoch(trial)

    lines: list[str] = []
    ended = work(study, told_meanwhile, log=lines.append, max_trials=2)
    assert ended is Ended.ENOUGH
    assert "trial 0: the lease is lost; abandoned, another worker has the cell" in lines
    results = read_results(study)
    assert [attempt.number for attempt in results.complete] == [1]
    assert results.attempts[0].state == "failed"
