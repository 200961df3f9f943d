"""Results of version 0.5.0 are distinguished from results that other programs have written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from optuna.trial import TrialState
from sqlalchemy import select

from mnist_tune.dashboard.snapshots import SnapshotStorage
from mnist_tune.results.reading import read_results
from mnist_tune.search.history import LearntFrom
from mnist_tune.storage.keys import HISTORY, RESULT, VERSION
from mnist_tune.storage.optuna_internals import system_attributes
from mnist_tune.storage.statements import put
from mnist_tune.storage.tables import epochs
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.worker.loop import Ended
from tests.support.commands import Command
from tests.support.made_studies.epochs import made_epoch
from tests.support.stock_optuna import GRID_SPEC, broken_promises_of, stock_study, train_one_epoch
from tests.support.stored_epochs import numbers
from tests.support.studies import new_study, states, take, work


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
    """Change a study into one of version 0.5.0."""
    of_version(study, "0.5.0")
    with study.storage.transaction() as session:
        session.execute(system_attributes.delete().where(system_attributes.c.key == RESULT))
        for row in session.execute(select(epochs)).all():
            assert row.epoch == 1  # with more epochs, the list would have one entry each
            put(session, row.trial_id, user={HISTORY: [{"epoch": 1, **json.loads(row.metrics)}]})
        session.execute(epochs.delete())


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
    queue.record(claim, reports={1: 42.0}, epochs=numbers([made_epoch(1, 42.0)]))
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
    impossible = [made_epoch(1, 50.0).as_json() | {"images_per_second": float("inf")}]
    with study.storage.transaction() as session:
        put(session, 1, user={"history": impossible})
    results = read_results(study)
    assert (results.holes, [attempt.number for attempt in results.complete]) == ([], [1])
    assert any("images/s" in problem for problem in results.problems)
    assert [trial.number for trial in LearntFrom(study.storage, study.study_id).get_all_trials()] == [1]
    before = states(study)
    assert command("retry", "tiny").out == "no cell of 'tiny' has failed for good\n"
    assert states(study) == before == [TrialState.COMPLETE, TrialState.COMPLETE]
