"""The rows of a study's cells: appended to its trials, all at creation, one for every retry."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy
from optuna.distributions import distribution_to_json
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import orm, select

from mnist_tune.attributes import CELL, FAILURES
from mnist_tune.storage import hold, system_attributes, trials

studies = models.StudyModel.__table__
parameters = models.TrialParamModel.__table__


def lock_study(session: orm.Session, study_id: int) -> None:
    """Serialise what changes the study's list of trials; on SQLite, take the write lock before any read."""
    session.execute(studies.update().where(studies.c.study_id == study_id).values(study_id=study_id))


def insert_waiting(session: orm.Session, study_id: int, waiting: Sequence[FrozenTrial]) -> None:
    """Append WAITING trials to a locked study, numbered on from the last."""
    in_study = select(sqlalchemy.func.count()).where(trials.c.study_id == study_id)
    first = session.execute(in_study).scalar_one()
    rows = [
        {"study_id": study_id, "number": first + index, "state": TrialState.WAITING}
        for index in range(len(waiting))
    ]
    insert = trials.insert().returning(trials.c.trial_id, sort_by_parameter_order=True)
    trial_ids = session.execute(insert, rows).scalars().all()
    numbered = list(zip(trial_ids, waiting, strict=True))
    insert_attributes(
        session, system_attributes, [(trial_id, trial.system_attrs) for trial_id, trial in numbered]
    )
    values = [
        {
            "trial_id": trial_id,
            "param_name": name,
            "param_value": distribution.to_internal_repr(trial.params[name]),
            "distribution_json": distribution_to_json(distribution),
        }
        for trial_id, trial in numbered
        for name, distribution in trial.distributions.items()
    ]
    if values:
        session.execute(parameters.insert(), values)


def next_attempt(attempt: FrozenTrial, failures: dict[str, int]) -> FrozenTrial:
    """The same cell once more, waiting."""
    kept = ("grid_id", "search_space", CELL)
    system_attrs = {key: attempt.system_attrs[key] for key in kept if key in attempt.system_attrs}
    # What a sampler gave the first attempt is frozen: a retry is the same cell, not a new draw.
    system_attrs |= {"fixed_params": attempt.params, FAILURES: failures}
    return create_trial(
        state=TrialState.WAITING,
        params=attempt.params,
        distributions=attempt.distributions,
        system_attrs=system_attrs,
    )


def insert_attributes(
    session: orm.Session, table: sqlalchemy.Table, attributes: Sequence[tuple[int, dict[str, Any]]]
) -> None:
    """Write attributes of trials, as (trial id, attributes) pairs, into one of Optuna's attribute tables."""
    rows = [
        {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
        for trial_id, entries in attributes
        for key, value in entries.items()
    ]
    if rows:
        session.execute(table.insert(), rows)


def delete_rows(session: orm.Session, study_id: int) -> None:
    """Delete a study's rows from all of Optuna's tables, children first."""
    lock_study(session, study_id)
    in_study = trials.c.study_id == study_id
    # Whoever writes to a trial holds its row first, so that nothing is added behind us.
    hold(session, in_study)
    trial_ids = select(trials.c.trial_id).where(in_study)
    for table in reversed(models.BaseModel.metadata.sorted_tables):
        if "trial_id" in table.c and table is not trials:
            session.execute(table.delete().where(table.c.trial_id.in_(trial_ids)))
    for table in reversed(models.BaseModel.metadata.sorted_tables):
        if "study_id" in table.c:
            session.execute(table.delete().where(table.c.study_id == study_id))
