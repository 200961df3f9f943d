"""Whether a study's cells may be claimed: one attribute of the study says so."""

from __future__ import annotations

import json

import sqlalchemy
from pydantic import TypeAdapter
from sqlalchemy import bindparam, orm, select

from mnist_tune.contract.study import Control
from mnist_tune.errors import Damaged
from mnist_tune.records.values import parse_as
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.storage.keys import CONTROL
from mnist_tune.storage.optuna_internals import study_attributes
from mnist_tune.storage.prepared import Prepared, is_one_of
from mnist_tune.storage.statements import upsert

CONTROLS = TypeAdapter(Control)
CONTROL_OF = Prepared(
    select(study_attributes.c.value_json).where(
        study_attributes.c.study_id == bindparam("of_study"), study_attributes.c.key == CONTROL
    )
)


def is_held_up(study_id: int) -> sqlalchemy.ColumnElement[bool]:
    """The SQL condition that no cell of the study may be claimed now."""
    held_up = is_one_of(study_attributes.c.value_json, *map(json.dumps, (Control.PAUSED, Control.CANCELLED)))
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
    """Store whether workers may claim cells, wait, or leave."""
    row = {"study_id": study_id, "key": CONTROL, "value_json": json.dumps(control)}
    with storage.transaction() as session:
        upsert(session, study_attributes, ("study_id", "key"), [row])
