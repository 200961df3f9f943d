"""Reads the spec that is stored with a study."""

from __future__ import annotations

from typing import Any

import sqlalchemy
from sqlalchemy import orm
from sqlalchemy.engine import Connection

from mnist_tune.errors import Damaged
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


def spec_text(rows: orm.Session | Connection, study_id: int) -> Text:
    """The JSON text of a study's spec; None if there is none."""
    connection = rows.connection() if isinstance(rows, orm.Session) else rows
    text: Text = SPEC_TEXT_OF.run(connection, {"of_study": study_id}).scalar()
    return text


def stored_spec(text: Text) -> Spec:
    """The spec in a stored JSON text. Raises Damaged."""
    return as_stored_spec(load(text))


def brought_up_to_date(known: Spec, text: Text) -> Spec:
    """A spec that was read before, with what people may change meanwhile, from the text as it is stored now.

    These are [retry], [limits], [stop] and all that makes a search grow. A damaged text changes nothing.
    """
    try:
        now = stored_spec(text)
    except Damaged:
        return known
    changed: dict[str, Any] = {"retry": now.retry, "limits": now.limits, "stop": now.stop}
    if now.description == known.description:
        changed |= {"search": now.search, "training": now.training}
    return known.model_copy(update=changed)


def spec_now(rows: orm.Session | Connection, study_id: int, known: Spec) -> Spec:
    """The spec of a study as it is in the caller's transaction; see `brought_up_to_date`."""
    text = spec_text(rows, study_id)
    return known if text is None else brought_up_to_date(known, text)
