"""The tickets of a sampled search: those that wait get known points, those that are too many are closed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import sqlalchemy
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.trial import TrialState
from sqlalchemy import bindparam, orm, select

from mnist_tune.queue.cells import cells_of
from mnist_tune.queue.taken_points import cell_of_trial
from mnist_tune.records.stored_spec import spec_text, stored_spec
from mnist_tune.spec.closing import without_cells
from mnist_tune.spec.growth import Step
from mnist_tune.spec.revisions import Point
from mnist_tune.storage.engine import utc_now
from mnist_tune.storage.keys import CELL, CLOSED, FAILURE, FAILURES, SPEC
from mnist_tune.storage.optuna_internals import (
    parameters,
    system_attributes,
    trials,
    user_attributes,
)
from mnist_tune.storage.statements import UNFINISHED, put_in_study, upsert


def fill_tickets(
    session: orm.Session, study_id: int, axes: Mapping[str, BaseDistribution], points: Sequence[Point]
) -> None:
    """Give each point to one ticket of a locked study, the first that wait and that nobody has begun.

    Cells are claimed in the order of their trials' ids, so that a new trial would come last. There must be as
    many such tickets as points.
    """
    if not points:
        return
    attributes, values = [], []
    for trial_id, point in zip(_first_blank(session, study_id, len(points)), points, strict=True):
        attributes.append({"trial_id": trial_id, "key": "fixed_params", "value_json": json.dumps(point)})
        values += [
            {
                "trial_id": trial_id,
                "param_name": name,
                "param_value": axes[name].to_internal_repr(value),
                "distribution_json": distribution_to_json(axes[name]),
            }
            for name, value in point.items()
        ]
    upsert(session, system_attributes, ("trial_id", "key"), attributes)
    if values:  # SQLAlchemy takes an empty list for one row of defaults
        session.execute(parameters.insert(), values)


def _first_blank(session: orm.Session, study_id: int, count: int) -> list[int]:
    """The ids of the first waiting tickets without any value or failure; no other can claim them now."""
    has_value = sqlalchemy.exists().where(parameters.c.trial_id == trials.c.trial_id)
    failed = system_attributes.alias("failed")
    has_failed = sqlalchemy.exists().where(failed.c.trial_id == trials.c.trial_id, failed.c.key == FAILURES)
    blank = (
        select(trials.c.trial_id)
        .where(cells_of(study_id, TrialState.WAITING), ~has_value, ~has_failed)
        .order_by(trials.c.trial_id)
        .limit(count)
        .with_for_update(skip_locked=True)  # PostgreSQL: one that is being claimed is left to its worker
    )
    return list(session.execute(blank).scalars())


def unfinished_tickets(session: orm.Session, study_id: int) -> list[int]:
    """The ids of a locked study's waiting and running trials, but those that somebody claims just now."""
    which = select(trials.c.trial_id).where(cells_of(study_id, *UNFINISHED)).order_by(trials.c.trial_id)
    return list(session.execute(which.with_for_update(skip_locked=True)).scalars())


def close_tickets(session: orm.Session, study_id: int, trial_ids: Sequence[int], configurations: int) -> str:
    """Close the cells of these unfinished trials of a locked study; returns why, in words.

    There are then so many cells less: the study's spec says which and why. `configurations` is how many the
    space has, 0 if it has others but none with the values that these tickets were given.

    Raises:
        Damaged: the spec cannot be read.
    """
    cells = {trial_id: cell_of_trial(session, trial_id) for trial_id in trial_ids}
    step = Step.now("worker")
    before = stored_spec(spec_text(session, study_id))
    spec = without_cells(before, cells.values(), configurations, step)
    why = (spec.search.revisions or [])[-1].told
    put_in_study(session, study_id, {SPEC: spec.stored()})
    session.execute(_END, [{"of_trial": trial_id} for trial_id in cells])
    told = json.dumps({"class": "closed", "reason": why})
    reasons = [{"trial_id": trial_id, "key": FAILURE, "value_json": told} for trial_id in cells]
    upsert(session, user_attributes, ("trial_id", "key"), reasons)
    # Of earlier attempts at these cells too.
    in_study = select(trials.c.trial_id).where(trials.c.study_id == study_id)
    renamed = (
        system_attributes.update()
        .where(system_attributes.c.key == CELL, system_attributes.c.value_json == bindparam("of_cell"))
        .where(system_attributes.c.trial_id.in_(in_study))
        .values(key=CLOSED)
    )
    session.connection().execute(renamed, [{"of_cell": json.dumps(cell)} for cell in cells.values()])
    return why


_END = (
    trials.update()
    .where(trials.c.trial_id == bindparam("of_trial"))
    .values(
        state=TrialState.FAIL,
        datetime_start=sqlalchemy.func.coalesce(trials.c.datetime_start, utc_now()),
        datetime_complete=utc_now(),
    )
)
