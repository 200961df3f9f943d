"""Gives a cell the result of a finished trial, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import sqlalchemy
from optuna.trial import TrialState
from sqlalchemy import orm, select

from mnist_tune.errors import UserError
from mnist_tune.spec.revisions import Point
from mnist_tune.storage.keys import CLAIM, EVALUATION, LEFT_BEHIND, LOG, RESULT, REUSED
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

OF_THE_FILES = sqlalchemy.or_(
    system_attributes.c.key.in_([LOG, LEFT_BEHIND]),
    system_attributes.c.key.startswith(ARTIFACTS_ATTR_PREFIX, autoescape=True),
)
OF_THE_RESULT = sqlalchemy.or_(system_attributes.c.key.in_([CLAIM, EVALUATION]), OF_THE_FILES)


class Finished(NamedTuple):
    """A completed trial of an older study, whose result another study's cell takes over."""

    study: str
    number: int
    trial_id: int
    token: str
    """The token of its claim. SQLite reuses ids, so that the id alone may mean another trial by now."""
    point: Point | None = None
    """The parameters that the cell is to have, if it has none of its own: those of a ticket."""


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
    _copy_result(session, trial_id, source.trial_id, OF_THE_RESULT)
    _end_as(session, trial_id, source.study, source.number, TrialState.COMPLETE, row._asdict())


def take_over_within(session: orm.Session, trial_id: int, source_id: int) -> int:
    """Make a running trial end like another one of its study, which has ended; returns the other's number.

    Its claim stays its own.
    """
    found = (
        select(trials.c.number, trials.c.state, trials.c.datetime_start, trials.c.datetime_complete)
        .add_columns(studies.c.study_name)
        .join(studies, studies.c.study_id == trials.c.study_id)
        .where(trials.c.trial_id == source_id)
    )
    row = session.execute(found).one()
    session.execute(user_attributes.delete().where(user_attributes.c.trial_id == trial_id))
    session.execute(system_attributes.delete().where(system_attributes.c.trial_id == trial_id, OF_THE_FILES))
    _copy_result(session, trial_id, source_id, OF_THE_FILES)
    times = {"datetime_start": row.datetime_start, "datetime_complete": row.datetime_complete}
    _end_as(session, trial_id, row.study_name, row.number, row.state, times)
    number: int = row.number
    return number


def _copy_result(
    session: orm.Session, trial_id: int, source_id: int, attributes: sqlalchemy.ColumnElement[bool]
) -> None:
    for table, which in (
        (objective_values, sqlalchemy.true()),
        (intermediate_values, sqlalchemy.true()),
        (user_attributes, sqlalchemy.true()),
        (system_attributes, attributes),
        (epochs, sqlalchemy.true()),
    ):
        own_id = [] if table is epochs else table.primary_key.columns.keys()
        names = [column.name for column in table.c if column.name not in (*own_id, "trial_id")]
        rows = select(sqlalchemy.literal(trial_id), *(table.c[name] for name in names))
        of_source = rows.where(table.c.trial_id == source_id, which)
        session.execute(table.insert().from_select(["trial_id", *names], of_source))


def _end_as(
    session: orm.Session, trial_id: int, study: str, number: int, state: TrialState, times: Mapping[str, Any]
) -> None:
    """End a trial with a result that was copied from the trial of this study with this number."""
    ended = trials.update().where(trials.c.trial_id == trial_id)
    session.execute(ended.values(state=state, **times))
    own_number = select(trials.c.number).where(trials.c.trial_id == trial_id)
    value = select(objective_values.c.value).where(objective_values.c.trial_id == trial_id)
    result = [session.execute(own_number).scalar_one(), session.execute(value).scalar_one()]
    reused = {"study": study, "trial": number}
    put(session, trial_id, user={REUSED: reused}, system={RESULT: result})
