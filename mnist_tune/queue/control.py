"""Whether a study's cells may be claimed: one attribute of the study says so."""

from __future__ import annotations

import json

import sqlalchemy
from pydantic import TypeAdapter
from sqlalchemy import bindparam, orm, select

from mnist_tune.contract.study import Control
from mnist_tune.errors import Damaged, UserError
from mnist_tune.queue.account import count_anew, read_account
from mnist_tune.queue.cells import lock_study
from mnist_tune.records.values import parse_as
from mnist_tune.spec.stopped import Stopped
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.storage.keys import CONTROL
from mnist_tune.storage.optuna_internals import study_attributes
from mnist_tune.storage.prepared import Prepared, is_one_of
from mnist_tune.storage.statements import database_time, put_in_study

CONTROLS = TypeAdapter(Control)
HELD_UP = (Control.PAUSED, Control.CANCELLED, Control.STOPPED)
"""The controls with which a study gives out no cell."""
CONTROL_OF = Prepared(
    select(study_attributes.c.value_json).where(
        study_attributes.c.study_id == bindparam("of_study"), study_attributes.c.key == CONTROL
    )
)


def is_held_up(study_id: int) -> sqlalchemy.ColumnElement[bool]:
    """The SQL condition that no cell of the study may be claimed now."""
    held_up = is_one_of(study_attributes.c.value_json, *map(json.dumps, HELD_UP))
    return sqlalchemy.exists().where(
        study_attributes.c.study_id == study_id, study_attributes.c.key == CONTROL, held_up
    )


def stored_control(session: orm.Session, study_id: int) -> Control:
    """Whether the study's cells may be claimed now.

    Raises:
        Damaged: the stored value has no meaning.
    """
    found = CONTROL_OF.execute(session, {"of_study": study_id}).first()
    return Control.RUNNING if found is None else parse_as(CONTROLS, found.value_json)


def control_in(session: orm.Session, study_id: int) -> Control:
    """Whether the study's cells may be claimed now. A value without a meaning stops no worker."""
    try:
        return stored_control(session, study_id)
    except Damaged:
        return Control.RUNNING


def read_control(storage: GuardedStorage, study_id: int) -> Control:
    """The same as `control_in`, in a transaction of its own."""
    with storage.transaction() as session:
        return control_in(session, study_id)


def set_control(storage: GuardedStorage, study_id: int, control: Control) -> None:
    """Store whether workers may claim cells, wait, or leave.

    A study that has stopped by its [stop] goes on with `RUNNING`: what was before then counts no more.

    Raises:
        UserError: `STOPPED` is nothing to ask for.
    """
    if control is Control.STOPPED:
        raise UserError("a study is stopped by its [stop] only; pause or cancel it")
    with storage.transaction() as session:
        lock_study(session, study_id)
        if control is Control.RUNNING and _has_stopped(session, study_id):
            count_anew(session, study_id, resumed=database_time(session))
        put_control(session, study_id, control)


def put_control(session: orm.Session, study_id: int, control: Control) -> None:
    """Store the control of a study that the transaction has locked."""
    put_in_study(session, study_id, {CONTROL: control})


def why_stopped(storage: GuardedStorage, study_id: int) -> Stopped | None:
    """Why the study has stopped by its [stop]; None if it has not, or if that cannot be read."""
    with storage.transaction() as session:
        return why_stopped_in(session, study_id)


def why_stopped_in(session: orm.Session, study_id: int) -> Stopped | None:
    """The same as `why_stopped`, in the caller's transaction."""
    try:
        account = read_account(session, study_id)
    except Damaged:
        return None
    return None if account is None else account.stopped


def _has_stopped(session: orm.Session, study_id: int) -> bool:
    return control_in(session, study_id) is Control.STOPPED or why_stopped_in(session, study_id) is not None
