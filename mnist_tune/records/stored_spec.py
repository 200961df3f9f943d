"""Reads the spec that is stored with a study."""

from __future__ import annotations

from typing import Any

import sqlalchemy

from mnist_tune.records.values import Text, load
from mnist_tune.spec.stored import as_stored_spec
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.keys import SPEC
from mnist_tune.storage.optuna_internals import study_attributes


def spec_text(study_id: int) -> sqlalchemy.Select[Any]:
    """The statement that reads the JSON text of a study's spec."""
    attribute = study_attributes.c.study_id == study_id, study_attributes.c.key == SPEC
    return sqlalchemy.select(study_attributes.c.value_json).where(*attribute)


def stored_spec(text: Text) -> Spec:
    """The spec in a stored JSON text. Raises Damaged."""
    return as_stored_spec(load(text))
