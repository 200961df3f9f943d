"""Gives a cell the result of another study's finished trial, in the caller's transaction."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy
from optuna.trial import TrialState
from sqlalchemy import orm, select

from mnist_tune.errors import UserError
from mnist_tune.storage.keys import CLAIM, LEFT_BEHIND, LOG, RESULT, REUSED
from mnist_tune.storage.optuna_internals import (
    ARTIFACTS_ATTR_PREFIX,
    intermediate_values,
    objective_values,
    studies,
    system_attributes,
    trials,
    user_attributes,
)
from mnist_tune.storage.statements import claimed_with, put
from mnist_tune.storage.tables import epochs

OF_THE_RESULT = sqlalchemy.or_(
    system_attributes.c.key.in_([CLAIM, LOG, LEFT_BEHIND]),
    system_attributes.c.key.startswith(ARTIFACTS_ATTR_PREFIX, autoescape=True),
)


class Finished(NamedTuple):
    """A completed trial of an older study, whose result another study's cell takes over."""

    study: str
    number: int
    trial_id: int
    token: str
    """The token of its claim. SQLite reuses ids, so that the id alone may mean another trial by now."""


def take_over(session: orm.Session, trial_id: int, source: Finished) -> None:
    """Make a waiting trial complete like `source`: values, epochs, times, files, and the worker's name.

    Raises:
        UserError: the older study has been deleted.
    """
    found = (
        select(trials.c.datetime_start, trials.c.datetime_complete)
        .join(studies, studies.c.study_id == trials.c.study_id)
        .where(trials.c.trial_id == source.trial_id, claimed_with(source.token))
        # PostgreSQL: whoever deletes the study locks its row first, and waits for us.
        .with_for_update(read=True, of=studies)
    )
    row = session.execute(found).one_or_none()
    if row is None:
        raise UserError(f"study '{source.study}' has been deleted meanwhile")
    for table, which in (
        (objective_values, sqlalchemy.true()),
        (intermediate_values, sqlalchemy.true()),
        (user_attributes, sqlalchemy.true()),
        (system_attributes, OF_THE_RESULT),
        (epochs, sqlalchemy.true()),
    ):
        own_id = [] if table is epochs else table.primary_key.columns.keys()
        names = [column.name for column in table.c if column.name not in (*own_id, "trial_id")]
        rows = select(sqlalchemy.literal(trial_id), *(table.c[name] for name in names))
        of_source = rows.where(table.c.trial_id == source.trial_id, which)
        session.execute(table.insert().from_select(["trial_id", *names], of_source))
    ended = trials.update().where(trials.c.trial_id == trial_id)
    session.execute(ended.values(state=TrialState.COMPLETE, **row._mapping))
    number = select(trials.c.number).where(trials.c.trial_id == trial_id)
    value = select(objective_values.c.value).where(objective_values.c.trial_id == trial_id)
    result = [session.execute(number).scalar_one(), session.execute(value).scalar_one()]
    reused = {"study": source.study, "trial": source.number}
    put(session, trial_id, user={REUSED: reused}, system={RESULT: result})
