"""A head watches the workers of all its studies from its start on, and forgets studies that are deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.trial import TrialState
from sqlalchemy import event

from mnist_tune.contract.claim import Standing
from mnist_tune.contract.study import StorageFailed
from mnist_tune.results.reading import read_results
from mnist_tune.serve.desk import Desk
from mnist_tune.serve.writer import Writer
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.study.delete import delete_study
from mnist_tune.study.open_study import OpenStudy
from tests.support.head_processes import HeadProcess
from tests.support.heads import running
from tests.support.specs import ONE_CELL, TWO_CELLS, lease_lines
from tests.support.studies import folders, new_study, opened_again, states, take
from tests.support.waiting import wait_until

BEAT, GRACE = 0.1, 0.5


def named(name: str, text: str = ONE_CELL) -> str:
    return text.replace('name = "tiny"', f'name = "{name}"') + lease_lines(BEAT, GRACE)


@pytest.fixture
def study(tmp_path: Path) -> OpenStudy:
    return new_study(tmp_path, named("tiny"))


@pytest.fixture
def storage(study: OpenStudy) -> GuardedStorage:
    return opened_again(study).storage


@pytest.fixture
def desk(storage: GuardedStorage, tmp_path: Path) -> Iterator[Desk]:
    with Writer(storage) as writer:
        yield Desk(storage, folders(tmp_path), writer)


def test_a_head_that_has_just_started_puts_back_the_cell_of_a_worker_that_is_gone(
    study: OpenStudy, tmp_path: Path
) -> None:
    take(study.queue())  # by a worker of the head's life before; nobody asks for this study now
    with HeadProcess(f"sqlite:///{tmp_path}/studies.db", tmp_path) as head:
        wait_until(lambda: states(study) == [TrialState.FAIL, TrialState.WAITING])
        wait_until(
            lambda: any("study 'tiny': trial 0: its worker is gone;" in line for line in head.printed())
        )
    assert read_results(study).attempts[0].failure == {
        "class": "lost",
        "reason": f"no heartbeat for {GRACE} s: the worker or its machine died",
    }


def test_a_study_that_cannot_be_read_is_told_of_once_and_the_others_are_watched(
    study: OpenStudy, tmp_path: Path
) -> None:
    other = new_study(tmp_path, named("other"))
    for each in (study, other):
        take(each.queue())
    study.storage.set_study_user_attr(study.study_id, "mnist_tune:spec", {"no": "spec"})
    with running(opened_again(other).storage, tmp_path) as head:
        wait_until(lambda: states(other) == [TrialState.FAIL, TrialState.WAITING])
        wait_until(
            lambda: sum("study 'tiny': silent workers are not seen" in line for line in head.lines) == 1
        )
    assert states(study) == [TrialState.RUNNING]


def test_a_study_that_was_deleted_is_forgotten_and_another_of_its_name_is_not_taken_for_it(
    study: OpenStudy, desk: Desk, tmp_path: Path
) -> None:
    desk.open("tiny").result(60)
    assert list(desk.put_back_stale()) == ["tiny"]
    delete_study(study)
    attend(desk)
    assert not desk.knows("tiny")
    assert desk.put_back_stale() == {}
    again = new_study(tmp_path, named("tiny"))
    assert again.study_id == study.study_id, "SQLite gives the id again"
    with pytest.raises(StorageFailed, match="was deleted, and another has its name now"):
        desk.answer("tiny", study.uid, "standing", {}).result(60)
    assert desk.answer("tiny", again.uid, "standing", {}).result(60) is Standing.OPEN
    delete_study(again)
    third = new_study(tmp_path, named("tiny"))
    attend(desk)
    assert not desk.knows("tiny")
    take(third.queue())
    attend(desk)
    assert desk.knows("tiny")


def test_many_studies_cost_a_head_as_many_statements_as_few(
    study: OpenStudy, storage: GuardedStorage, desk: Desk, tmp_path: Path
) -> None:
    statements: list[str] = []
    event.listen(storage.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))

    def cost() -> int:
        statements.clear()
        attend(desk)
        for asked in desk.put_back_stale().values():
            asked.result(60)
        return len(statements)

    alone = cost()
    for number in range(20):
        new_study(tmp_path, named(f"study-{number}", TWO_CELLS))
    assert cost() == alone > 0


def attend(desk: Desk) -> None:
    vars(desk)["_attend_at"] = 0.0  # else it would wait for a while
    assert desk.attend().result(60) == {}
