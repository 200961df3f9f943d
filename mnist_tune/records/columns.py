"""The trials of a study as plain rows, read column by column.

Optuna's own reader makes an object of every row and parses every distribution, and a grid stores one for each
axis of each cell: with thousands of cells and a long axis it takes half a minute and most of a gigabyte.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy
from optuna.distributions import BaseDistribution, distribution_to_json
from sqlalchemy import orm, select
from sqlalchemy.types import NullType

from mnist_tune.storage.optuna_internals import (
    ARTIFACTS_ATTR_PREFIX,
    objective_values,
    parameters,
    system_attributes,
    trials,
    user_attributes,
)
from mnist_tune.storage.tables import epochs, has_table

BATCH = 1000
"""How many rows are in memory at a time before they are parsed."""
OWN = ""
"""Stands for a parameter's distribution where it is the same as in the spec."""
INFINITE = {"INF_POS": math.inf, "INF_NEG": -math.inf}
"""The names that Optuna stores in the column beside a value that is infinite."""


@dataclass(slots=True)
class TrialColumns:
    """The columns of one trial as they are stored; damaged ones may hold anything."""

    trial_id: int
    number: Any
    state: Any
    """The name of the state."""
    started: Any
    ended: Any
    values: dict[Any, Any] = field(default_factory=dict)
    """The stored values by the number of their objective."""
    parameters: list[tuple[Any, Any, Any]] = field(default_factory=list)
    """For each parameter its name, its stored number, and the JSON of its distribution or `OWN`."""
    user: dict[Any, Any] = field(default_factory=dict)
    """User attributes by name, as JSON texts."""
    system: dict[Any, Any] = field(default_factory=dict)
    epochs: list[tuple[Any, Any]] = field(default_factory=list)
    """Number and metrics (a JSON text) of each epoch; empty for trials of 0.5.0, which have an attribute."""


def read_columns(
    session: orm.Session,
    study_id: int,
    axes: Mapping[str, BaseDistribution],
    user: Sequence[str],
    system: Sequence[str],
    *,
    only: Sequence[int] | None = None,
    with_epochs: bool = True,
) -> list[TrialColumns]:
    """Read the study's trials, ordered by number, with the named attributes and those of files.

    `only` has the ids of the trials to be read, if not all are.
    """
    in_study = trials.c.study_id == study_id
    if only is not None:
        in_study &= trials.c.trial_id.in_(only)
    columns = raw(trials, "trial_id", "number", "state", "datetime_start", "datetime_complete")
    found = session.execute(select(*columns).where(in_study).order_by(trials.c.number, trials.c.trial_id))
    read = {row.trial_id: TrialColumns(*row) for row in found}
    for trial_id, objective, value, kind in rows_of(
        session, objective_values, in_study, "objective", "value", "value_type"
    ):
        read[trial_id].values[objective] = value if kind == "FINITE" else INFINITE.get(kind, kind)
    other = _unless_own(axes)
    for trial_id, name, value, distribution in rows_of(
        session, parameters, in_study, "param_name", "param_value", other
    ):
        read[trial_id].parameters.append((name, value, distribution))
    # Workers write the same environment to all their trials: its text is kept once.
    texts: dict[Any, Any] = {}
    for trial_id, key, text in rows_of(
        session, user_attributes, in_study & user_attributes.c.key.in_(user), "key", "value_json"
    ):
        read[trial_id].user[key] = texts.setdefault(text, text)
    is_file = system_attributes.c.key.startswith(ARTIFACTS_ATTR_PREFIX, autoescape=True)
    of_system = in_study & (system_attributes.c.key.in_(system) | is_file)
    for trial_id, key, text in rows_of(session, system_attributes, of_system, "key", "value_json"):
        read[trial_id].system[key] = texts.setdefault(text, text)
    for trial_id, epoch, metrics in epoch_rows(session, in_study) if with_epochs else ():
        read[trial_id].epochs.append((epoch, metrics))
    return list(read.values())


def epoch_rows(session: orm.Session, which: sqlalchemy.ColumnElement[bool]) -> Iterator[Any]:
    """Trial id, number and metrics of the epochs of the trials with a condition, trial by trial."""
    if has_table(session.connection(), epochs):  # older versions and stock Optuna have no such table
        yield from rows_of(session, epochs, which, "epoch", "metrics")


def raw(table: sqlalchemy.FromClause, *names: str) -> list[sqlalchemy.ColumnElement[Any]]:
    """Columns as the driver gives them; SQLAlchemy's types raise an error on values that are damaged."""
    return [sqlalchemy.type_coerce(table.c[name], NullType()).label(name) for name in names]


def _unless_own(axes: Mapping[str, BaseDistribution]) -> sqlalchemy.ColumnElement[Any]:
    """A parameter's distribution, or `OWN` where it is the spec's, so that a long axis is read only once."""
    (text,) = raw(parameters, "distribution_json")
    own = [
        sqlalchemy.and_(
            parameters.c.param_name == name, parameters.c.distribution_json == distribution_to_json(axis)
        )
        for name, axis in axes.items()
    ]
    return sqlalchemy.case((sqlalchemy.or_(sqlalchemy.false(), *own), OWN), else_=text)


def rows_of(
    session: orm.Session,
    table: sqlalchemy.Table,
    which: sqlalchemy.ColumnElement[bool],
    *columns: str | sqlalchemy.ColumnElement[Any],
) -> Iterator[Any]:
    """Trial id and these columns of a table, for trials with a condition, ordered by primary key."""
    shown = [raw(table, one)[0] if isinstance(one, str) else one for one in ("trial_id", *columns)]
    found = select(*shown).select_from(table).join(trials, trials.c.trial_id == table.c.trial_id)
    yield from session.execute(
        found.where(which).order_by(*table.primary_key), execution_options={"yield_per": BATCH}
    )
