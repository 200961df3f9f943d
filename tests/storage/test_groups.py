"""Several writes in one transaction: stored together or not at all, and a refused one disturbs no other."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from mnist_tune.contract.claim import Claim
from mnist_tune.contract.study import new_token
from mnist_tune.failures import Failure
from mnist_tune.queue.queue import Queue
from mnist_tune.queue.worker_registry import read_registry
from mnist_tune.results.reading import read_results
from mnist_tune.results.trial_result import State
from mnist_tune.storage.groups import InGroup
from mnist_tune.storage.tables import workers
from mnist_tune.study.direct import DirectStudy
from mnist_tune.study.open_study import OpenStudy
from tests.support.contract_calls import ME
from tests.support.studies import fail_behind_its_back, folders, opened_again, states, take

COMPLETE, FAIL, RUNNING, WAITING = (
    TrialState.COMPLETE,
    TrialState.FAIL,
    TrialState.RUNNING,
    TrialState.WAITING,
)


class Broken(Exception):  # noqa: N818 - nobody sees it
    """What a test raises."""


@pytest.fixture
def far(study: OpenStudy) -> OpenStudy:
    """The same study in the hands of who writes; `study` looks at it."""
    return opened_again(study)


@pytest.fixture
def queue(far: OpenStudy) -> Queue:
    return far.queue()


def begun(study: OpenStudy) -> list[TrialState]:
    return [state for state in states(study) if state != WAITING]


def test_a_group_is_seen_by_others_when_it_ends(study: OpenStudy, far: OpenStudy, queue: Queue) -> None:
    with far.storage.group():
        claims = [take(queue) for _ in range(3)]
        queue.complete(claims[0], 50.0)
        assert begun(study) == []
    assert len({claim.trial_id for claim in claims}) == 3
    assert begun(study) == [COMPLETE, RUNNING, RUNNING]


def test_a_group_that_fails_stores_nothing(study: OpenStudy, far: OpenStudy, queue: Queue) -> None:
    def complete_and_break_off() -> None:
        with far.storage.group():
            queue.complete(take(queue), 50.0)
            raise Broken

    with pytest.raises(Broken):
        complete_and_break_off()
    assert begun(study) == []
    take(queue)
    assert begun(study) == [RUNNING]


def test_a_group_whose_commit_fails_stores_nothing(study: OpenStudy, far: OpenStudy, queue: Queue) -> None:
    def fail(_: object) -> None:
        raise Broken

    sqlalchemy.event.listen(far.storage.engine, "commit", fail)
    with pytest.raises(Broken), far.storage.group():
        take(queue)
    sqlalchemy.event.remove(far.storage.engine, "commit", fail)
    assert begun(study) == []
    take(queue)
    assert begun(study) == [RUNNING]


def test_a_write_without_its_lease_is_refused_and_the_others_of_its_group_are_stored(
    study: OpenStudy, far: OpenStudy, queue: Queue
) -> None:
    first, lost, last = (take(queue) for _ in range(3))
    fail_behind_its_back(study.storage.engine.url.render_as_string(hide_password=False), lost.trial_id)
    with far.storage.group():
        queue.record(first, user={"environment": {"device": "cpu"}}, reports={1: 10.0})
        with pytest.raises(UpdateFinishedTrialError):
            queue.record(lost, reports={1: 10.0})
        with pytest.raises(UpdateFinishedTrialError):
            queue.complete(lost, 10.0)
        queue.complete(last, 20.0, reports={1: 20.0})
    assert begun(study) == [RUNNING, FAIL, COMPLETE]
    attempts = study.optuna_study().trials
    assert [attempt.intermediate_values for attempt in attempts[:3]] == [{1: 10.0}, {}, {1: 20.0}]


def test_the_same_calls_twice_in_a_group_have_one_effect(
    study: OpenStudy, far: OpenStudy, queue: Queue
) -> None:
    failure = Failure("exception", "it broke")
    other = take(queue)
    with far.storage.group():
        first, again = (queue.claim("worker", "0" * 32) for _ in range(2))
        assert isinstance(first, Claim)
        assert first == again
        for _ in range(2):
            queue.complete(first, 50.0)
            assert queue.give_back(other, failure)
    results = read_results(study)
    assert [attempt.value for attempt in results.complete] == [50.0]
    assert [attempt.state for attempt in results.attempts].count(State.WAITING) == 7
    assert len(results.attempts) == 9


def test_another_thread_is_not_in_the_group(study: OpenStudy, far: OpenStudy) -> None:
    seen: list[list[TrialState]] = []
    looking = opened_again(study)
    with far.storage.group():
        take(far.queue())
        thread = threading.Thread(target=lambda: seen.append(begun(looking)))
        thread.start()
        thread.join(60)
        own = threading.Thread(target=lambda: seen.append(begun(far)))
        own.start()
        own.join(60)
    assert seen == [[], []]
    assert begun(study) == [RUNNING]


@pytest.fixture
def stored_without_workers(study: OpenStudy, far: OpenStudy) -> None:
    """The table of workers was there when `far` saw it, and another process has dropped it since."""
    far.storage.have_tables()
    with study.storage.transaction() as session:
        workers.drop(session.connection())


@pytest.mark.usefixtures("stored_without_workers")
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_table_that_has_gone_is_made_anew_but_not_in_a_group(far: OpenStudy) -> None:
    with pytest.raises(InGroup), far.storage.group():
        far.storage.have_tables()
    assert not far.storage.is_up_to_date()
    far.storage.have_tables()
    assert far.storage.is_up_to_date()
    with far.storage.group():
        far.storage.have_tables()


def test_what_has_optuna_open_the_study_is_refused_in_a_group(far: OpenStudy, tmp_path: Path) -> None:
    direct = DirectStudy(far, folders(tmp_path))
    with pytest.raises(InGroup), far.storage.group():
        direct.register(ME)
    assert read_registry(far.storage, far.study_id, 60).workers == []
    direct.register(ME)
    with far.storage.group():
        direct.register(replace(ME, id=new_token()))
    assert len(read_registry(far.storage, far.study_id, 60).workers) == 2
