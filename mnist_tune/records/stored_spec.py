"""Reads the spec that is stored with a study."""

from __future__ import annotations

import sqlalchemy
from sqlalchemy import orm

from mnist_tune.records.values import Text, load
from mnist_tune.spec.stored import as_stored_spec
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.keys import SPEC
from mnist_tune.storage.optuna_internals import study_attributes
from mnist_tune.storage.prepared import Prepared

SPEC_TEXT_OF = Prepared(
    sqlalchemy.select(study_attributes.c.value_json).where(
        study_attributes.c.study_id == sqlalchemy.bindparam("of_study"), study_attributes.c.key == SPEC
    )
)


def spec_text(session: orm.Session, study_id: int) -> Text:
    """The JSON text of a study's spec; None if there is none."""
    text: Text = SPEC_TEXT_OF.execute(session, {"of_study": study_id}).scalar()
    return text


def stored_spec(text: Text) -> Spec:
    """The spec in a stored JSON text. Raises Damaged."""
    return as_stored_spec(load(text))
