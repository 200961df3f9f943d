"""The last state of a complete trial is kept, and more epochs go on from it, by each way to a study."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from mnist_tune.contract.study import StudyForWorkers, new_token
from mnist_tune.errors import UserError
from mnist_tune.queue.cells import checkpoint_keys
from mnist_tune.storage.keys import STATE
from mnist_tune.study.extend import extend_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.worker.loop import Ended, Worker
from mnist_tune.worker.signals import StopRequest
from tests.contract.conftest import See
from tests.support.logged_job import Job, StepLog
from tests.support.longer_studies import ALL_SIX, SIX, SPEC, broken, extend, results_of, values_of
from tests.support.studies import new_study, opened_again


def go_through(worker: StudyForWorkers, folder: Path) -> Ended:
    job = Job(worker.spec, worker.state_folder, StepLog(folder / "steps"), lambda _: None)
    return Worker(worker, job, StopRequest(), lambda _: None).work()


def states_of(study: OpenStudy, folder: Path) -> set[str]:
    """The names of the states that lie where the study keeps them."""
    place = folder / "checkpoints" / study.uid
    return {path.name for path in place.iterdir()} if place.is_dir() else set()


def pointers(study: OpenStudy) -> set[str]:
    with study.storage.transaction() as session:
        return checkpoint_keys(session, [study.study_id])


def test_a_worker_that_knew_of_fewer_epochs_goes_on_from_the_last_states(
    database: str, tmp_path: Path, see: See
) -> None:
    study = new_study(tmp_path, SPEC, database)
    worker = see(opened_again(study))
    assert go_through(worker, tmp_path) is Ended.FINISHED
    assert len(pointers(study)) == 3
    assert states_of(study, tmp_path) == pointers(study)
    assert extend(study).spec.training.epochs == 6
    assert worker.spec.training.epochs == 2
    assert go_through(worker, tmp_path) is Ended.FINISHED
    assert values_of(study) == ALL_SIX
    assert states_of(study, tmp_path) == pointers(study)
    assert [(one.resumed or {})["epoch"] for one in results_of(study).complete] == [2] * 3
    assert broken(study, tmp_path) == []


def test_a_last_state_that_finds_no_room_costs_no_result(
    database: str, tmp_path: Path, see: See, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = new_study(tmp_path, SPEC, database)
    worker = see(opened_again(study))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(worker, "keep_state", full)
    assert go_through(worker, tmp_path) is Ended.FINISHED
    results = results_of(study)
    assert (results.cells.complete, states_of(study, tmp_path), pointers(study)) == (3, set(), set())
    assert {one.not_kept[STATE] for one in results.complete} == {"No space left on device"}
    with pytest.raises(UserError, match="no checkpoint was kept of 3 of 3 complete trials"):
        extend_study(study, SIX, new_token())
