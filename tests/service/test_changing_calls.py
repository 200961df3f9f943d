"""What people change through the calls: control, workers, cells and settings, by each way to a storage."""

from __future__ import annotations

import pytest
from optuna.trial import TrialState

from mnist_tune.contract.study import Control, WorkerFacts
from mnist_tune.errors import UserError
from mnist_tune.failures import Failure
from mnist_tune.queue.worker_registry import Registration
from mnist_tune.service.calls import StudiesForPeople
from mnist_tune.storage.optuna_internals import TABLES
from mnist_tune.study.open_study import OpenStudy
from tests.support.studies import states, take

NO_NUMBER = Failure("non_finite", "the loss is nan")


def test_a_study_is_paused_cancelled_and_resumed(study: OpenStudy, service: StudiesForPeople) -> None:
    for control in (Control.PAUSED, Control.CANCELLED, Control.CANCELLED, Control.RUNNING):
        service.set_control("tiny", control)
        assert service.results("tiny").control is control


def test_workers_are_asked_to_leave_by_name_or_host(study: OpenStudy, service: StudiesForPeople) -> None:
    Registration(study.storage, study.study_id, WorkerFacts.of_this_process("cpu")).register()
    (worker,) = service.results("tiny").workers
    assert service.drain("tiny", worker=worker.name) == [worker.name]
    assert service.drain("tiny", host=worker.host) == [worker.name]
    assert service.results("tiny").workers[0].state == "draining"
    with pytest.raises(UserError, match="no worker 'nobody' is on this study; there are: "):
        service.drain("tiny", worker="nobody")


def test_cells_that_failed_for_good_wait_again(study: OpenStudy, service: StudiesForPeople) -> None:
    queue = study.queue()
    for _ in range(2):
        assert queue.give_back(take(queue), NO_NUMBER)
    with pytest.raises(UserError, match="trial 5 is not the last attempt at a cell that failed for good"):
        service.retry("tiny", 5)
    one = service.retry("tiny", 1)
    assert (one.numbers, one.left, one.made_anew) == ([1], {}, [])
    assert service.retry("tiny").numbers == [0]
    assert states(study).count(TrialState.WAITING) == 8
    done = service.retry("tiny")
    assert (done.numbers, done.left, done.made_anew) == ([], {}, [])


def test_cells_that_somebody_has_deleted_are_made_anew(study: OpenStudy, service: StudiesForPeople) -> None:
    trial = study.storage.get_all_trials(study.study_id)[3]._trial_id
    with study.storage.transaction() as session:
        for table in reversed(TABLES.sorted_tables):
            if "trial_id" in table.c:
                session.execute(table.delete().where(table.c.trial_id == trial))
    assert service.results("tiny").deleted == [3]
    done = service.retry("tiny")
    assert (done.numbers, done.left, done.made_anew) == ([], {}, [3])
    assert service.results("tiny").deleted == service.retry("tiny").made_anew == []


def test_settings_are_changed_and_told_as_they_are_now(study: OpenStudy, service: StudiesForPeople) -> None:
    changes = {"limits.timeout": 3600, "retry.lost": 5}
    assert service.change_settings("tiny", changes) == {"limits.timeout": 3600.0, "retry.lost": 5}
    with pytest.raises(UserError, match=r"^set: retry\.lost: should be a valid integer, not 'many'$"):
        service.change_settings("tiny", {"retry.lost": "many"})
