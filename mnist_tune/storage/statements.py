"""SQL statements on the rows of a trial, inside a transaction that the caller holds.

They are plain SQL: Optuna's models read a row and all that belongs to it before they change it. The
statements that every trial needs are prepared once.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Unpack

import sqlalchemy
from optuna.trial import TrialState
from sqlalchemy import bindparam, orm
from sqlalchemy.dialects import postgresql, sqlite

from mnist_tune.storage.engine import utc_now
from mnist_tune.storage.keys import CLAIM, UID
from mnist_tune.storage.notes import Notes
from mnist_tune.storage.optuna_internals import (
    heartbeats,
    intermediate_values,
    objective_values,
    stored_intermediate_value,
    stored_value,
    studies,
    study_attributes,
    system_attributes,
    trials,
    user_attributes,
)
from mnist_tune.storage.prepared import Prepared, is_one_of
from mnist_tune.storage.tables import epochs

NOW = sqlalchemy.select(utc_now())
UNFINISHED = (TrialState.WAITING, TrialState.RUNNING)

CLAIMED = sqlalchemy.exists().where(
    system_attributes.c.trial_id == trials.c.trial_id, system_attributes.c.key == CLAIM
)
OF_TRIAL = trials.update().where(trials.c.trial_id == bindparam("of_trial"))
TO_STATE = OF_TRIAL.values(state=bindparam("to_state"))
SET_STATE = Prepared(TO_STATE)
END = Prepared(TO_STATE.values(datetime_complete=utc_now()))
TOUCH = OF_TRIAL.where(is_one_of(trials.c.state, *UNFINISHED)).values(state=trials.c.state)
TOUCH_CLAIMED = Prepared(TOUCH.where(CLAIMED.where(system_attributes.c.value_json == bindparam("token"))))
TOUCH_UNCLAIMED = Prepared(TOUCH.where(~CLAIMED))


def put(session: orm.Session, trial_id: int, **notes: Unpack[Notes]) -> None:
    """Insert or replace attributes, reports and epochs of a trial that the transaction has locked."""
    tables = (user_attributes, notes.get("user", {})), (system_attributes, notes.get("system", {}))
    for table, attributes in tables:
        upsert(
            session,
            table,
            ("trial_id", "key"),
            [
                {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
                for key, value in attributes.items()
            ],
        )
    rows = []
    for step, report in notes.get("reports", {}).items():
        value, kind = stored_intermediate_value(report)
        rows.append(
            {"trial_id": trial_id, "step": step, "intermediate_value": value, "intermediate_value_type": kind}
        )
    upsert(session, intermediate_values, ("trial_id", "step"), rows)
    of_epochs = [
        {"trial_id": trial_id, "epoch": epoch, "metrics": json.dumps(metrics)}
        for epoch, metrics in notes.get("epochs", {}).items()
    ]
    upsert(session, epochs, ("trial_id", "epoch"), of_epochs)


def beat(session: orm.Session, trial_id: int) -> None:
    """Write the heartbeat of a trial that the transaction has locked."""
    upsert(session, heartbeats, ("trial_id",), [{"trial_id": trial_id}], now=("heartbeat",))


def end(session: orm.Session, trial_id: int, state: TrialState, values: Sequence[float]) -> None:
    """Set the state of a trial that the transaction has locked and, if it ends, its values and time."""
    rows = []
    for objective, result in enumerate(values):
        value, kind = stored_value(result)
        rows.append({"trial_id": trial_id, "objective": objective, "value": value, "value_type": kind})
    upsert(session, objective_values, ("trial_id", "objective"), rows)
    set_state = END if state.is_finished() else SET_STATE
    set_state.execute(session, {"of_trial": trial_id, "to_state": state})


def put_in_study(session: orm.Session, study_id: int, attributes: Mapping[str, Any]) -> None:
    """Store user attributes of a study, by name; each replaces what was there."""
    rows = [
        {"study_id": study_id, "key": key, "value_json": json.dumps(value)}
        for key, value in attributes.items()
    ]
    upsert(session, study_attributes, ("study_id", "key"), rows)


def database_time(session: orm.Session) -> datetime:
    """The database's present time, in UTC."""
    now: datetime = session.execute(NOW).scalar_one()
    return now


def upsert(
    session: orm.Session,
    table: sqlalchemy.Table,
    unique: tuple[str, ...],
    rows: Sequence[dict[str, Any]],
    now: tuple[str, ...] = (),
    once: tuple[str, ...] = (),
) -> None:
    """Insert rows, or replace those with the same `unique` columns; `now` columns get the database's time.

    A row that is there keeps its `once` columns.
    """
    if rows:
        connection = session.connection()
        statement = _upsert(connection.dialect.name, table, unique, tuple(rows[0]), now, once)
        statement.run(connection, rows if len(rows) > 1 else rows[0])


@functools.cache
def _upsert(
    dialect: str,
    table: sqlalchemy.Table,
    unique: tuple[str, ...],
    given: tuple[str, ...],
    now: tuple[str, ...],
    once: tuple[str, ...],
) -> Prepared:
    insert = {"sqlite": sqlite, "postgresql": postgresql}[dialect].insert(table)
    names = (*given, *now)
    replaced = {name: insert.excluded[name] for name in names if name not in (*unique, *once)}
    values = {name: utc_now() for name in now}
    statement = insert.values(values).on_conflict_do_update(index_elements=unique, set_=replaced)
    return Prepared(statement.inline(), given)  # inline: PostgreSQL need not return the row's id


def touch(session: orm.Session, trial_id: int, token: str | None) -> bool:
    """Lock an unfinished trial's row if `token` claimed it (None: no worker did); whether it could."""
    if token is None:
        return TOUCH_UNCLAIMED.changed(session, {"of_trial": trial_id})
    return TOUCH_CLAIMED.changed(session, {"of_trial": trial_id, "token": json.dumps(token)})


def hold(session: orm.Session, which: sqlalchemy.ColumnElement[bool]) -> None:
    """Lock the rows of `trials` with this condition until the transaction ends."""
    session.execute(trials.update().where(which).values(state=trials.c.state))


def changed(
    session: orm.Session, update: sqlalchemy.Update, parameters: Mapping[str, Any] | None = None
) -> bool:
    """Execute an UPDATE; returns whether it changed any row."""
    result: sqlalchemy.CursorResult[Any] = session.connection().execute(update, parameters)
    return result.rowcount > 0


def claimed_with(token: str) -> sqlalchemy.ColumnElement[bool]:
    """The SQL condition that a row of `trials` was claimed with this token."""
    return CLAIMED.where(system_attributes.c.value_json == json.dumps(token))


def find_study_id(session: orm.Session, name: str) -> int | None:
    """The id of the study with this name, or None."""
    named = sqlalchemy.select(studies.c.study_id).where(studies.c.study_name == name)
    return session.execute(named).scalar()


def studies_with(session: orm.Session, uid: str) -> list[int]:
    """The ids of the studies with this uid: one, and those that stock Optuna has copied from it."""
    has_it = study_attributes.c.key == UID, study_attributes.c.value_json == json.dumps(uid)
    return list(session.execute(sqlalchemy.select(study_attributes.c.study_id).where(*has_it)).scalars())


def has_attribute(table: sqlalchemy.Table, key: str, value: Any) -> sqlalchemy.ColumnElement[bool]:
    """The SQL condition that a row of `trials` has this attribute in the user or system table."""
    return sqlalchemy.exists().where(
        table.c.trial_id == trials.c.trial_id, table.c.key == key, table.c.value_json == json.dumps(value)
    )
