"""A copied study is the same study: every row of it or none, on whatever databases, also while it runs."""

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
import pytest
import sqlalchemy
from optuna.trial import FrozenTrial, TrialState, create_trial

from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.failures import Failure
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.storage.keys import CELL, CLAIM, FAILURE, FAILURES, UID
from mnist_tune.study.copy import Copied, copy_study
from mnist_tune.study.delete import delete_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import create_study, open_study, study_names
from tests.support.commands import finish, start_toy_worker
from tests.support.specs import TINY_SPEC, tiny_spec

CUT_OFF = {"class": "preempted", "reason": "copied while it ran at the source"}


@pytest.fixture
def postgres(postgres: str) -> str:
    """The empty database on the server, as stock Optuna wants it named."""
    return str(storage_url(postgres))


@pytest.fixture
def original(tmp_path: Path) -> str:
    """A study in a file, with a trial of every kind."""
    url = f"sqlite:///{tmp_path}/original.db"
    fill_with_every_kind_of_trial(new_study_at(url, tmp_path))
    return url


@pytest.fixture
def copy(tmp_path: Path) -> str:
    """A file that is not there yet."""
    return f"sqlite:///{tmp_path}/copy.db"


def new_study_at(url: str, folder: Path, text: str = TINY_SPEC) -> OpenStudy:
    storage = open_storage(storage_url(url), create=True)
    assert create_study(storage, tiny_spec(folder, text))
    return open_study(storage, "tiny")


def study_at(url: str, name: str = "tiny") -> OpenStudy:
    return open_study(open_storage(storage_url(url)), name)


def fill_with_every_kind_of_trial(study: OpenStudy) -> None:
    """Complete, fail, infinite, running and put back: one of each, and one that is not ours."""
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
    """What a program without mnist-tune reads."""
    return optuna.load_study(study_name=name, storage=url).trials


def described(trial: FrozenTrial) -> dict[str, str]:
    """All of a trial but its id; nan is like nan, and attributes have no order in a database."""
    return {
        field: repr(sorted(value.items()) if isinstance(value, dict) else value)
        for field, value in vars(trial).items()
        if field != "_trial_id"
    }


def file_content(url: str) -> list[str]:
    """An SQLite file's whole content."""
    with sqlite3.connect(storage_url(url).database or "") as connection:
        return list(connection.iterdump())


@contextmanager
def done_before_statement(url: str, statement: str, action: Callable[[], object]) -> Iterator[None]:
    """Have `action` done just before a storage first sends a statement of this beginning to `url`."""
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
    """Trial for trial the same, but that the running one has failed and waits again, last of all."""
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


def test_a_copy_holds_the_same_study_with_what_ran_put_back(original: str, copy: str) -> None:
    stored = file_content(original)
    assert copy_study(study_at(original), storage_url(copy)) == Copied("tiny", trials=10, put_back=1)
    assert_copied(trials_by_optuna(original), trials_by_optuna(copy))
    ours, theirs = (optuna.load_study(study_name="tiny", storage=url) for url in (original, copy))
    assert theirs.user_attrs == ours.user_attrs | {UID: study_at(copy).uid}
    assert study_at(copy).uid != study_at(original).uid
    assert theirs.metric_names == ours.metric_names
    assert theirs.directions == ours.directions
    assert file_content(original) == stored
    assert not any(line.startswith('INSERT INTO "trial_heartbeats"') for line in file_content(copy))


def test_a_copy_beside_its_original_has_another_name_everywhere(original: str) -> None:
    before_it = trials_by_optuna(original)
    assert copy_study(study_at(original), storage_url(original), "second").name == "second"
    assert study_names(open_storage(storage_url(original))) == ["tiny", "second"]
    assert study_at(original, "second").spec == study_at(original).spec.named("second")
    assert study_at(original, "second").uid != study_at(original).uid
    assert_copied(before_it, trials_by_optuna(original, "second"))
    assert [described(trial) for trial in trials_by_optuna(original)] == [
        described(trial) for trial in before_it
    ]


def test_a_study_of_that_name_at_the_target_is_left_alone(original: str, copy: str) -> None:
    copy_study(study_at(original), storage_url(copy))
    for target in (original, copy):
        stored = file_content(target)
        with pytest.raises(UserError, match="has a study 'tiny' already; give the copy another name"):
            copy_study(study_at(original), storage_url(target))
        assert file_content(target) == stored


def test_a_running_cell_whose_budget_is_spent_is_a_hole_of_the_copy(tmp_path: Path, copy: str) -> None:
    study = new_study_at(
        f"sqlite:///{tmp_path}/original.db", tmp_path, TINY_SPEC + "\n[retry]\npreempted = 0\n"
    )
    assert study.queue().claim("worker")
    assert copy_study(study, storage_url(copy)) == Copied("tiny", trials=8, put_back=0)
    assert [trial.state for trial in trials_by_optuna(copy)] == [TrialState.FAIL] + [TrialState.WAITING] * 7


def test_a_running_trial_of_somebody_else_ends_in_the_copy_and_is_not_ours_to_run(
    tmp_path: Path, copy: str
) -> None:
    study = new_study_at(f"sqlite:///{tmp_path}/original.db", tmp_path)
    study.optuna_study().add_trial(create_trial(state=TrialState.RUNNING))
    assert copy_study(study, storage_url(copy)) == Copied("tiny", trials=9, put_back=0)
    assert [trial.state for trial in trials_by_optuna(copy)] == [TrialState.WAITING] * 8 + [TrialState.FAIL]


def test_what_happens_at_the_source_during_a_copy_is_not_in_it(original: str, copy: str) -> None:
    assert_that_a_copy_is_of_one_moment(original, copy)


def assert_that_a_copy_is_of_one_moment(original: str, copy: str) -> None:
    at_first = trials_by_optuna(original)
    working = study_at(original)

    def work_on() -> None:  # a row that is copied already changes, and gets rows in tables that are not yet
        claim = working.queue().claim("worker")
        assert claim
        working.queue().complete(claim, 1.0)
        working.optuna_study().add_trial(create_trial(value=2.0))

    with done_before_statement(copy, "INSERT INTO trial_params", work_on):
        copy_study(study_at(original), storage_url(copy))
    assert len(trials_by_optuna(original)) == len(at_first) + 1
    assert_copied(at_first, trials_by_optuna(copy))


def test_a_study_deleted_before_the_copy_began_is_no_empty_copy(original: str, copy: str) -> None:
    study = study_at(original)
    delete_study(study_at(original))
    with pytest.raises(MnistTuneError, match="study 'tiny' was deleted before it could be copied"):
        copy_study(study, storage_url(copy))
    assert optuna.get_all_study_names(copy) == []


def test_a_killed_copy_leaves_nothing_and_can_be_made_again(original: str, copy: str) -> None:
    assert_that_a_killed_copy_leaves_nothing(original, copy)


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


@pytest.mark.postgres
def test_a_study_goes_to_a_server_and_back(original: str, postgres: str, copy: str) -> None:
    stored = file_content(original)
    copy_study(study_at(original), storage_url(postgres))
    assert_copied(trials_by_optuna(original), trials_by_optuna(postgres))
    assert copy_study(study_at(postgres), storage_url(copy)) == Copied("tiny", trials=11, put_back=0)
    assert [described(trial) for trial in trials_by_optuna(copy)] == [
        described(trial) for trial in trials_by_optuna(postgres)
    ]
    assert file_content(original) == stored


@pytest.mark.postgres
def test_a_worker_finishes_a_study_that_was_copied_to_a_server(
    original: str, postgres: str, tmp_path: Path
) -> None:
    # Another study comes first, so that no id is by chance the same.
    fill_with_every_kind_of_trial(new_study_at(postgres, tmp_path))
    copy_study(study_at(original), storage_url(postgres), "moved")
    answer = finish(start_toy_worker(tmp_path, "moved", seconds=0, url=postgres))
    assert (answer.returncode, answer.stderr) == (0, "")
    cells = [
        trial.system_attrs[CELL]
        for trial in trials_by_optuna(postgres, "moved")
        if trial.state == TrialState.COMPLETE and CELL in trial.system_attrs
    ]
    assert sorted(cells) == list(range(8))
    assert [trial.number for trial in trials_by_optuna(postgres, "moved")] == list(range(11))


@pytest.mark.postgres
def test_a_copy_from_and_to_a_server_is_of_one_moment_and_whole(
    original: str, postgres: str, copy: str, tmp_path: Path
) -> None:
    assert_that_a_killed_copy_leaves_nothing(original, postgres)
    delete_study(study_at(postgres))
    fill_with_every_kind_of_trial(new_study_at(postgres, tmp_path))
    assert_that_a_copy_is_of_one_moment(postgres, copy)
