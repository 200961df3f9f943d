"""Gives known points to tickets of a sampled search that wait: they are claimed before all others."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import sqlalchemy
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.trial import TrialState
from sqlalchemy import orm, select

from mnist_tune.queue.cells import cells_of
from mnist_tune.spec.revisions import Point
from mnist_tune.storage.keys import FAILURES
from mnist_tune.storage.optuna_internals import parameters, system_attributes, trials
from mnist_tune.storage.statements import upsert


def fill_tickets(
    session: orm.Session, study_id: int, axes: Mapping[str, BaseDistribution], points: Sequence[Point]
) -> None:
    """Give each point to one ticket of a locked study, the first that wait and that nobody has begun.

    Cells are claimed in the order of their trials' ids, so that a new trial would come last. There must be as
    many such tickets as points.
    """
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
