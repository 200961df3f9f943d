"""Whether a study's cells may be claimed: one attribute of the study says so."""

from __future__ import annotations

import json

import sqlalchemy
from pydantic import TypeAdapter
from sqlalchemy import select

from mnist_tune.contract.study import Control
from mnist_tune.errors import Damaged
from mnist_tune.records.values import parse_as
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.storage.keys import CONTROL
from mnist_tune.storage.optuna_internals import study_attributes
from mnist_tune.storage.statements import upsert

CONTROLS = TypeAdapter(Control)


def is_control(study_id: int, *values: Control) -> sqlalchemy.ColumnElement[bool]:
    """The SQL condition that a row is the study's control attribute, with one of `values` if given."""
    attribute = sqlalchemy.and_(study_attributes.c.study_id == study_id, study_attributes.c.key == CONTROL)
    stored = [json.dumps(value) for value in values]
    return sqlalchemy.and_(attribute, study_attributes.c.value_json.in_(stored)) if values else attribute


def stored_control(storage: GuardedStorage, study_id: int) -> Control:
    """Whether the study's cells may be claimed now.

    Raises:
        Damaged: the stored value has no meaning.
    """
    with storage.transaction() as session:
        found = session.execute(select(study_attributes.c.value_json).where(is_control(study_id))).first()
    return Control.RUNNING if found is None else parse_as(CONTROLS, found.value_json)


def read_control(storage: GuardedStorage, study_id: int) -> Control:
    """Whether the study's cells may be claimed now. A value without a meaning stops no worker."""
    try:
        return stored_control(storage, study_id)
    except Damaged:
        return Control.RUNNING


def set_control(storage: GuardedStorage, study_id: int, control: Control) -> None:
    """Store whether workers may claim cells, wait, or leave."""
    row = {"study_id": study_id, "key": CONTROL, "value_json": json.dumps(control)}
    with storage.transaction() as session:
        upsert(session, study_attributes, ("study_id", "key"), [row])
