"""Statements that become SQL text once: they store what SQLAlchemy's own execution would store."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from optuna.trial import TrialState
from sqlalchemy import bindparam, select

from mnist_tune.storage.optuna_internals import trials
from mnist_tune.storage.prepared import Prepared, is_one_of
from mnist_tune.storage.tables import workers
from mnist_tune.study.open_study import OpenStudy

MOMENT = datetime(2024, 2, 29, 23, 59, 58, 123456, UTC)
COLUMNS = ("worker_id", "study_id", "name", "host", "pid", "device", "started", "last_beat", "drain")
TO_STATE = Prepared(
    trials.update()
    .where(trials.c.number == bindparam("of_number"), trials.c.state == TrialState.WAITING)
    .values(state=bindparam("to_state"))
)


def row(study: OpenStudy, name: str) -> dict[str, object]:
    values = (name, study.study_id, "100 % :odd \\ ? %s", "far", 7, "cpu", MOMENT, MOMENT, True)
    return dict(zip(COLUMNS, values, strict=True))


def test_values_are_stored_and_compared_as_their_columns_want_them(study: OpenStudy) -> None:
    with study.storage.transaction() as session:
        assert TO_STATE.changed(session, {"of_number": 3, "to_state": TrialState.FAIL})
        assert not TO_STATE.changed(session, {"of_number": 3, "to_state": TrialState.RUNNING})
    with study.storage.transaction() as session:
        ended = select(trials.c.number).where(trials.c.state == TrialState.FAIL)
        assert session.execute(ended).scalars().all() == [3]


def test_one_row_or_several_are_stored_as_they_are_given(study: OpenStudy) -> None:
    insert = Prepared(workers.insert().inline(), COLUMNS)
    names = ["one", "two", "three"]
    with study.storage.transaction() as session:
        insert.execute(session, row(study, names[0]))
        insert.execute(session, [row(study, name) for name in names[1:]])
        stored = [dict(found) for found in session.execute(select(workers)).mappings()]
    nothing = {"trial": None, "images_per_second": None, "departure": None}
    assert stored == [row(study, name) | nothing for name in names]


def test_a_column_is_one_of_several_values(study: OpenStudy) -> None:
    of = is_one_of(trials.c.number, 1, 4, 100)
    chosen = Prepared(select(trials.c.number).where(of).order_by(trials.c.number))
    with study.storage.transaction() as session:
        assert [found.number for found in chosen.execute(session)] == [1, 4]


def test_a_list_of_values_is_refused(study: OpenStudy) -> None:
    chosen = Prepared(select(trials.c.number).where(trials.c.number.in_([1, 4])))
    with study.storage.transaction() as session, pytest.raises(ValueError, match="use is_one_of"):
        chosen.execute(session)
