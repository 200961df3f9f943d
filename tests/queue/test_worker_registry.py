"""The registry of workers: what they tell of themselves there, what is asked of them, and when rows go."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.exc import OperationalError

from mnist_tune.contract.study import Control, Orders, WorkerFacts
from mnist_tune.errors import UserError
from mnist_tune.queue.control import set_control
from mnist_tune.queue.worker_registry import (
    FORGOTTEN_AFTER,
    Registration,
    WorkerRow,
    ask_to_drain,
    read_registry,
)
from mnist_tune.storage.tables import workers
from mnist_tune.study.delete import delete_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import create_study, open_study
from tests.support.clocks import ZONES_DIFFER_BY
from tests.support.storage_faults import lost_answer
from tests.support.studies import opened_again

NOTHING = Orders(Control.RUNNING, drain=False)
DRAIN = Orders(Control.RUNNING, drain=True)

Enter = Callable[[str], Registration]


@pytest.fixture
def enter(study: OpenStudy, monkeypatch: pytest.MonkeyPatch) -> Enter:
    """Registers this process once more, as a worker on a host of this name."""

    def register(host: str) -> Registration:
        monkeypatch.setattr(socket, "gethostname", lambda: host)
        registration = Registration(study.storage, study.study_id, WorkerFacts.of_this_process("cpu"))
        registration.register()
        return registration

    return register


def rows(study: OpenStudy) -> list[WorkerRow]:
    return read_registry(study.storage, study.study_id, grace_period=60).workers


def age(study: OpenStudy, registration: Registration, by: timedelta) -> None:
    """Make the worker's last heartbeat older by so much."""
    with study.storage.transaction() as session:
        its_row = workers.c.worker_id == registration._worker.id
        row = session.execute(workers.select().where(its_row)).one()
        older = {"started": row.started - by, "last_beat": row.last_beat - by}
        session.execute(workers.update().where(its_row).values(older))


def test_a_worker_that_has_registered_is_there_and_idle(study: OpenStudy, enter: Enter) -> None:
    assert rows(study) == []
    enter("near")
    (row,) = rows(study)
    assert (row.name, row.host, row.pid, row.device) == (f"near:{os.getpid()}", "near", os.getpid(), "cpu")
    assert (row.state, row.trial, row.units_per_second, row.departure) == ("idle", None, None, None)
    assert abs(row.started - datetime.now(UTC)) < ZONES_DIFFER_BY


def test_a_beat_tells_what_the_worker_does(study: OpenStudy, enter: Enter) -> None:
    worker = enter("near")
    age(study, worker, timedelta(hours=1))
    assert rows(study)[0].state == "silent"
    assert rows(study)[0].seconds_since_beat >= 3600
    assert worker.beat(3, 1234.5) == NOTHING
    (row,) = rows(study)
    assert (row.state, row.trial, row.units_per_second) == ("working", 3, 1234.5)
    assert row.seconds_since_beat < 3600
    worker.beat(None, None)
    assert rows(study)[0].state == "idle"


def test_a_worker_that_was_asked_to_drain_hears_it_with_its_next_beat(study: OpenStudy, enter: Enter) -> None:
    near, far = enter("near"), enter("far")
    name = f"near:{os.getpid()}"
    assert ask_to_drain(opened_again(study).storage, study.study_id, worker=name) == [name]
    assert (near.beat(None, None), far.beat(None, None)) == (DRAIN, NOTHING)
    assert [row.state for row in rows(study)] == ["draining", "idle"]


def test_all_workers_of_a_host_are_drained_at_once(study: OpenStudy, enter: Enter) -> None:
    first, second, far = enter("near"), enter("near"), enter("far")
    assert ask_to_drain(study.storage, study.study_id, host="near") == [f"near:{os.getpid()}"] * 2
    assert [worker.beat(None, None) for worker in (first, second, far)] == [DRAIN, DRAIN, NOTHING]


@pytest.mark.parametrize("control", [one for one in Control if one is not Control.STOPPED])
def test_a_beat_hears_how_the_study_is_controlled(study: OpenStudy, enter: Enter, control: Control) -> None:
    worker = enter("near")
    set_control(study.storage, study.study_id, control)
    assert worker.beat(None, None).control is control


def test_a_worker_that_left_says_why_and_cannot_be_drained(study: OpenStudy, enter: Enter) -> None:
    leaving, _ = enter("near"), enter("far")
    leaving.beat(3, 1234.5)
    leaving.leave("the study is finished")
    left, there = rows(study)
    assert (left.state, left.trial, left.departure) == ("left", None, "the study is finished")
    with pytest.raises(UserError) as caught:
        ask_to_drain(study.storage, study.study_id, host="near")
    assert str(caught.value) == f"no worker on host 'near' is on this study; there are: {there.name}"


def test_workers_of_another_study_are_neither_shown_nor_drained(study: OpenStudy, enter: Enter) -> None:
    create_study(study.storage, study.spec.named("other"))
    other = open_study(study.storage, "other")
    worker = enter("near")
    assert read_registry(other.storage, other.study_id, grace_period=60).workers == []
    with pytest.raises(UserError, match="there are none"):
        ask_to_drain(other.storage, other.study_id, host="near")
    assert worker.beat(None, None) == NOTHING


def test_workers_that_were_not_heard_of_for_long_go_when_another_comes(
    study: OpenStudy, enter: Enter
) -> None:
    gone, here = enter("long gone"), enter("lately here")
    age(study, gone, FORGOTTEN_AFTER + timedelta(seconds=60))
    age(study, here, FORGOTTEN_AFTER - timedelta(seconds=60))
    assert [row.host for row in rows(study)] == ["long gone", "lately here"]
    enter("new")
    assert [row.host for row in rows(study)] == ["lately here", "new"]


def test_a_worker_that_a_step_of_the_clock_has_others_forget_is_there_again_with_its_next_beat(
    study: OpenStudy, enter: Enter
) -> None:
    working = enter("near")
    age(study, working, 2 * FORGOTTEN_AFTER)
    enter("new")
    assert [row.host for row in rows(study)] == ["new"]
    assert working.beat(3, 1_000.0) == NOTHING
    assert len(rows(study)) == 2
    working.beat(3, 1_000.0)
    assert {row.trial for row in rows(study)} == {3, None}
    ask_to_drain(study.storage, study.study_id, host="near")
    assert working.beat(3, 1_000.0) == DRAIN


def test_a_beat_of_a_worker_whose_study_is_deleted_does_nothing(study: OpenStudy, enter: Enter) -> None:
    worker = enter("near")
    delete_study(opened_again(study))
    assert worker.beat(None, None) == NOTHING
    worker.leave("the study was deleted")
    assert rows(study) == []


def test_every_word_of_a_worker_may_be_said_again_when_its_answer_was_lost(
    study: OpenStudy, enter: Enter
) -> None:
    worker = enter("near")
    (entered,) = rows(study)
    for say in (worker.register, lambda: worker.beat(3, 1.0), lambda: worker.leave("it is done")):
        with lost_answer(study.storage), pytest.raises(OperationalError):
            say()
        say()
    (row,) = rows(study)
    assert (row.name, row.state, row.departure) == (entered.name, "left", "it is done")
