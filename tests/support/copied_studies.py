"""Copies of studies: compared with their originals, made during changes, and cut short."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.trial import FrozenTrial, TrialState, create_trial

from mnist_tune.failures import Failure
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.storage.keys import CELL, CLAIM, FAILURE, FAILURES
from mnist_tune.study.copy import copy_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import create_study, open_study
from tests.support.specs import TINY_SPEC, tiny_spec

CUT_OFF = {"class": "preempted", "reason": "copied while it ran at the source"}


def new_study_at(url: str, folder: Path, text: str = TINY_SPEC) -> OpenStudy:
    storage = open_storage(storage_url(url), create=True)
    assert create_study(storage, tiny_spec(folder, text))
    return open_study(storage, "tiny")


def study_at(url: str, name: str = "tiny") -> OpenStudy:
    return open_study(open_storage(storage_url(url)), name)


def fill_with_every_kind_of_trial(study: OpenStudy) -> None:
    """Make a complete, a failed, an infinite and a running trial, a retry, and a trial that is not ours."""
    queue, storage = study.queue(), study.storage
    complete, failed, infinite, running = (queue.claim("worker") for _ in range(4))
    assert complete is not None
    assert failed is not None
    assert infinite is not None
    assert running is not None
    for step, value in enumerate((40.123456789012345, float("nan"), float("-inf"))):
        storage.set_trial_intermediate_value(complete.trial_id, step, value)
    storage.set_trial_user_attr(complete.trial_id, "note", "Füße, 'quoted', \x00")
    storage.set_trial_system_attr(complete.trial_id, "artifacts:1", json.dumps({"artifact_id": "1"}))
    queue.complete(complete, 0.1 + 0.2)
    queue.complete(infinite, float("inf"))
    assert queue.give_back(failed, Failure("exception", "it broke"))
    stock = optuna.load_study(study_name=study.name, storage=storage)
    stock.set_user_attr("owner", {"name": "somebody"})
    stock.add_trial(create_trial(value=99.0))


def trials_by_optuna(url: str, name: str = "tiny") -> list[FrozenTrial]:
    """The trials as a program without mnist-tune reads them."""
    return optuna.load_study(study_name=name, storage=url).trials


def described(trial: FrozenTrial) -> dict[str, str]:
    """All fields of a trial except its id, as text: so nan equals nan, and attributes are unordered."""
    return {
        field: repr(sorted(value.items()) if isinstance(value, dict) else value)
        for field, value in vars(trial).items()
        if field != "_trial_id"
    }


def file_content(url: str) -> list[str]:
    """An SQLite file's whole content as SQL."""
    with sqlite3.connect(storage_url(url).database or "") as connection:
        return list(connection.iterdump())


@contextmanager
def done_before_statement(url: str, statement: str, action: Callable[[], object]) -> Iterator[None]:
    """Run `action` just before a storage first sends a statement with this beginning to `url`."""
    actions = [action]

    def act(connection: sqlalchemy.Connection, _: Any, text: str, *__: Any) -> None:
        if actions and text.startswith(statement) and connection.engine.url == storage_url(url):
            actions.pop()()

    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", act)
    try:
        yield
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "before_cursor_execute", act)
    assert not actions


def assert_copied(source: list[FrozenTrial], copied: list[FrozenTrial]) -> None:
    """Check that all trials are equal, except that the running one has failed and waits again as the last."""
    (running,) = (trial for trial in source if trial.state == TrialState.RUNNING)
    failed, again = copied.pop(running.number), copied.pop()
    assert [described(trial) for trial in copied] == [
        described(trial) for trial in source if trial is not running
    ]
    assert failed.state == TrialState.FAIL
    assert failed.user_attrs == running.user_attrs | {FAILURE: CUT_OFF}
    assert failed.system_attrs == running.system_attrs
    assert failed.datetime_start == running.datetime_start
    assert failed.datetime_complete is not None
    assert (again.number, again.state) == (len(source), TrialState.WAITING)
    assert (again.params, again.distributions) == (running.params, running.distributions)
    assert again.system_attrs[CELL] == running.system_attrs[CELL]
    assert again.system_attrs[FAILURES] == {"preempted": 1}
    assert CLAIM not in again.system_attrs


def assert_that_a_copy_is_of_one_moment(original: str, copy: str) -> None:
    at_first = trials_by_optuna(original)
    working = study_at(original)

    def work_on() -> None:  # changes a row that was copied already, and adds rows to tables that were not yet
        claim = working.queue().claim("worker")
        assert claim
        working.queue().complete(claim, 1.0)
        working.optuna_study().add_trial(create_trial(value=2.0))

    with done_before_statement(copy, "INSERT INTO trial_params", work_on):
        copy_study(study_at(original), storage_url(copy))
    assert len(trials_by_optuna(original)) == len(at_first) + 1
    assert_copied(at_first, trials_by_optuna(copy))


def assert_that_a_killed_copy_leaves_nothing(original: str, copy: str) -> None:
    process = multiprocessing.get_context("spawn").Process(target=die_copying, args=(original, copy))
    process.start()
    process.join(timeout=60)
    assert process.exitcode == -signal.SIGKILL
    assert optuna.get_all_study_names(copy) == []
    copy_study(study_at(original), storage_url(copy))
    assert_copied(trials_by_optuna(original), trials_by_optuna(copy))


def die_copying(original: str, copy: str) -> None:
    with done_before_statement(
        copy, "INSERT INTO trial_params", lambda: os.kill(os.getpid(), signal.SIGKILL)
    ):
        copy_study(study_at(original), storage_url(copy))
