"""Pruning of an attempt when the storage is away, an answer is lost, or the cell was tried before."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from mnist_tune.failures import Failure, Pruned
from mnist_tune.storage.keys import CELL, CLAIM, RESULT, RUNG
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.worker.attempt import Attempt
from tests.support.attempts_by_hand import AttemptsByHand
from tests.support.made_studies.epochs import made_epoch
from tests.support.pruned_studies import HALVING, pruned_study
from tests.support.storage_faults import away, lost_answer


def attempts_of(study: OpenStudy, folder: Path) -> AttemptsByHand:
    return AttemptsByHand(study, folder, decide=study.guide().decide)


def study_with_a_beaten_trial(folder: Path, table: str = HALVING) -> tuple[AttemptsByHand, Attempt]:
    """A study whose first trial has done well, and its second, which is to be ended after its first epoch."""
    study = pruned_study(folder, table, 2)
    attempts = attempts_of(study, folder)
    first = attempts.attempt()
    for number in range(1, 10):
        first.trial.epoch_done(made_epoch(number, 80.0), last=number == 9)
    first.complete(80.0, attempts.ask)
    return attempts, attempts.attempt()


def test_while_the_storage_is_away_nothing_is_decided(tmp_path: Path) -> None:
    attempts, second = study_with_a_beaten_trial(tmp_path)
    with away(attempts.study.storage):
        second.trial.epoch_done(made_epoch(1, 40.0))
    with pytest.raises(Pruned):
        second.trial.epoch_done(made_epoch(2, 41.0))
    second.prune(attempts.ask)
    assert attempts.stored(second).intermediate_values == {1: 40.0, 2: 41.0}
    assert attempts.stored(second).value == 41.0


def test_a_pruning_whose_answer_was_lost_is_done_once(tmp_path: Path) -> None:
    attempts, second = study_with_a_beaten_trial(tmp_path)
    with pytest.raises(Pruned):
        second.trial.epoch_done(made_epoch(1, 40.0))
    with lost_answer(attempts.study.storage):
        second.prune(attempts.ask)
    assert attempts.stored(second).state == TrialState.PRUNED
    assert attempts.stored(second).system_attrs[f"{RUNG}0"] == 40.0


def test_the_checkpoints_of_a_pruned_trial_are_deleted(tmp_path: Path) -> None:
    attempts, second = study_with_a_beaten_trial(tmp_path)
    with pytest.raises(Pruned):
        second.trial.epoch_done(made_epoch(1, 40.0), attempts.checkpoint(1))
    second.prune(attempts.ask)
    assert attempts.checkpoints.keys() == []


def test_a_decision_that_was_lost_with_its_worker_is_made_again(tmp_path: Path) -> None:
    attempts, second = study_with_a_beaten_trial(tmp_path)
    with pytest.raises(Pruned):
        second.trial.epoch_done(made_epoch(1, 40.0), attempts.checkpoint(1))
    assert f"{RUNG}0" not in attempts.stored(second).system_attrs  # killed here, it has not passed the rung
    second.give_back(Failure("lost", "killed"), attempts.ask)
    third = attempts.attempt()
    with pytest.raises(Pruned):
        third.trial.resumed([made_epoch(1, 40.0)], {"epoch": 1})


def test_a_cell_does_not_compete_with_its_own_earlier_attempt(tmp_path: Path) -> None:
    study = pruned_study(tmp_path, HALVING, 1)
    attempts = attempts_of(study, tmp_path)
    first = attempts.attempt()
    first.trial.epoch_done(made_epoch(1, 60.0))
    first.trial.epoch_done(made_epoch(2, 61.0), attempts.checkpoint(2))
    first.give_back(Failure("preempted", "stopped"), attempts.ask)
    again = attempts.attempt()
    rungs = {key: value for key, value in attempts.stored(again).system_attrs.items() if key.startswith(RUNG)}
    assert rungs == {f"{RUNG}0": 60.0, f"{RUNG}1": 61.0}  # it is past them, with what it had there
    again.trial.resumed([made_epoch(1, 60.0), made_epoch(2, 61.0)], {"epoch": 2})
    again.trial.epoch_done(made_epoch(3, 55.0))
    with pytest.raises(Pruned):  # by another: alone, it would be the best of its rung
        _compete(attempts_of(study, tmp_path), again)


def _compete(attempts: AttemptsByHand, attempt: Attempt) -> None:
    number = len(attempts.study.storage.get_all_trials(attempts.study.study_id))
    stronger = attempts.study.storage.create_new_trial(
        attempts.study.study_id,
        optuna.trial.create_trial(
            value=70.0, system_attrs={CELL: 1, CLAIM: "another's", RESULT: [number, 70.0], f"{RUNG}2": 70.0}
        ),
    )
    assert stronger
    attempt.trial.epoch_done(made_epoch(4, 56.0))
