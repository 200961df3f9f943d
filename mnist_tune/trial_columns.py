"""The trials of a study as plain rows, read column by column.

Optuna's own reader makes an object of every row and parses every distribution, of which a grid has one for
each axis: thousands of cells with a long axis take it half a minute and most of a gigabyte.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy
from optuna.artifacts._upload import ARTIFACTS_ATTR_PREFIX
from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import orm, select

from mnist_tune.rows import (
    ENDED,
    STARTED,
    objective_values,
    parameters,
    system_attributes,
    trials,
    user_attributes,
)

BATCH = 1000
"""How many rows are in memory at a time before they are parsed."""


@dataclass(slots=True)
class TrialColumns:
    """What was read of one trial. Attributes have the text that is stored: JSON, if nobody damaged it."""

    trial_id: int
    number: int
    state: TrialState
    started: datetime | None
    """In UTC, as is `ended`."""
    ended: datetime | None
    value: float | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    user: dict[str, str] = field(default_factory=dict)
    system: dict[str, str] = field(default_factory=dict)


def read_trials(
    session: orm.Session,
    study_id: int,
    axes: Mapping[str, BaseDistribution],
    user: Sequence[str],
    system: Sequence[str],
) -> list[TrialColumns]:
    """The study's trials by number, with those of their attributes that are named, and those of files.

    Parameters that are stored with a distribution of `axes`, as nearly all are, cost nothing to parse.
    """
    in_study = trials.c.study_id == study_id
    columns = trials.c.trial_id, trials.c.number, trials.c.state, STARTED, ENDED
    found = session.execute(select(*columns).where(in_study).order_by(trials.c.number))
    read = {row.trial_id: TrialColumns(*row) for row in found}
    to_value = models.TrialValueModel.stored_repr_to_value
    for row in _rows(session, objective_values, in_study, objective_values.c.objective == 0):
        read[row.trial_id].value = to_value(row.value, row.value_type)
    for trial_id, name, value in _parameters(session, in_study, axes):
        read[trial_id].parameters[name] = value
    # Workers write the same environment to all their trials: one text is kept of it.
    texts: dict[str, str] = {}
    is_file = system_attributes.c.key.startswith(ARTIFACTS_ATTR_PREFIX, autoescape=True)
    of_system = sqlalchemy.or_(system_attributes.c.key.in_(system), is_file)
    for row in _rows(session, user_attributes, in_study, user_attributes.c.key.in_(user)):
        read[row.trial_id].user[row.key] = texts.setdefault(row.value_json, row.value_json)
    for row in _rows(session, system_attributes, in_study, of_system):
        read[row.trial_id].system[row.key] = texts.setdefault(row.value_json, row.value_json)
    return list(read.values())


def _parameters(
    session: orm.Session, in_study: sqlalchemy.ColumnElement[bool], axes: Mapping[str, BaseDistribution]
) -> Iterator[tuple[int, str, Any]]:
    """Trial id, name and value of each parameter, in the order they were given."""
    expected = [
        sqlalchemy.and_(
            parameters.c.param_name == name, parameters.c.distribution_json == distribution_to_json(axis)
        )
        for name, axis in axes.items()
    ]
    # The database compares: what is the spec's own distribution, long as it may be, need not come here.
    other = sqlalchemy.case(
        (sqlalchemy.or_(sqlalchemy.false(), *expected), sqlalchemy.null()),
        else_=parameters.c.distribution_json,
    )
    columns = parameters.c.trial_id, parameters.c.param_name, parameters.c.param_value, other.label("other")
    rows = select(*columns).join(trials).where(in_study).order_by(parameters.c.param_id)
    parsed: dict[str, BaseDistribution] = {}
    for row in session.execute(rows, execution_options={"yield_per": BATCH}):
        if row.other is not None and row.other not in parsed:
            parsed[row.other] = json_to_distribution(row.other)
        axis = axes[row.param_name] if row.other is None else parsed[row.other]
        yield row.trial_id, row.param_name, axis.to_external_repr(row.param_value)


def _rows(
    session: orm.Session, table: sqlalchemy.Table, *which: sqlalchemy.ColumnElement[bool]
) -> Iterator[Any]:
    (key,) = table.primary_key
    found = select(table).join(trials).where(*which).order_by(key)
    yield from session.execute(found, execution_options={"yield_per": BATCH})
