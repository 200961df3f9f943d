"""The rows of a study's cells: appended to its trials, all at creation, one for every retry."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import sqlalchemy
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.trial import TrialState
from sqlalchemy import bindparam, orm, select
from sqlalchemy.engine import Connection

from mnist_tune.errors import Damaged
from mnist_tune.failures import Failure, FailureClass
from mnist_tune.records.distributions import Waiting, distributions
from mnist_tune.records.trials import distribution, external
from mnist_tune.records.values import MOST, load, parse
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.engine import utc_now
from mnist_tune.storage.keys import CELL, CHECKPOINT, FAILURE, FAILURES, GENERATION, RUNG
from mnist_tune.storage.optuna_internals import (
    TABLES,
    parameters,
    studies,
    system_attributes,
    trials,
    user_attributes,
)
from mnist_tune.storage.statements import UNFINISHED, changed, hold, put
from mnist_tune.storage.tables import epochs, has_table, workers

PARAMETERS_OF = select(parameters).where(parameters.c.trial_id == bindparam("of_trial"))
INHERITED_OF = select(system_attributes).where(
    system_attributes.c.trial_id == bindparam("of_trial"), system_attributes.c.key.in_([CHECKPOINT, FAILURES])
)

# A retry goes on from its rung, and is not judged there again; CMA-ES knows its generation by its prefix.
KEPT_OF = select(system_attributes).where(
    system_attributes.c.trial_id == bindparam("of_trial"),
    sqlalchemy.or_(
        system_attributes.c.key.in_(["grid_id", "search_space", CELL, CHECKPOINT]),
        *(system_attributes.c.key.startswith(prefix, autoescape=True) for prefix in (RUNG, GENERATION)),
    ),
)


def lock_study(session: orm.Session, study_id: int) -> None:
    """Serialise what changes the study's list of trials; on SQLite, take the write lock before any read."""
    session.execute(studies.update().where(studies.c.study_id == study_id).values(study_id=study_id))


def cells_of(study_id: int, *states: TrialState) -> sqlalchemy.ColumnElement[bool]:
    """That a row of `trials` is an attempt at one of the study's cells, in one of these states."""
    return cells_of_any([study_id], *states)


def cells_of_any(study_ids: Sequence[int], *states: TrialState) -> sqlalchemy.ColumnElement[bool]:
    """The same for the cells of several studies."""
    # A trial that somebody enqueued through stock Optuna has no cell: it is not ours to run or to count.
    named = system_attributes.alias("cell")
    is_cell = sqlalchemy.exists().where(named.c.trial_id == trials.c.trial_id, named.c.key == CELL)
    in_studies = trials.c.study_id.in_(study_ids) if len(study_ids) > 1 else trials.c.study_id == study_ids[0]
    return sqlalchemy.and_(in_studies, trials.c.state.in_(states), is_cell)


def claim_first(study_id: int, allowed: sqlalchemy.ColumnElement[bool]) -> sqlalchemy.Executable:
    """The statement that claims the study's first waiting cell; it returns the trial's id and number."""
    first_waiting = (
        select(trials.c.trial_id)
        .where(cells_of(study_id, TrialState.WAITING), allowed)
        .order_by(trials.c.trial_id)
        .limit(1)
        .with_for_update(skip_locked=True)  # PostgreSQL: do not queue up behind another's claim
    )
    statement: sqlalchemy.Executable = (
        trials.update()
        .where(trials.c.trial_id == first_waiting.scalar_subquery(), trials.c.state == TrialState.WAITING)
        .values(state=TrialState.RUNNING, datetime_start=utc_now())
        .returning(trials.c.trial_id, trials.c.number)
    )
    return statement


class Cell(NamedTuple):
    """An attempt's parameters, what earlier attempts left to it, and what of both cannot be read."""

    parameters: dict[str, Any]
    left: dict[str, Any]
    """System attributes by name."""
    damage: tuple[str, ...]
    """Of the parameters: it is not known what is to be run."""
    problems: tuple[str, ...]
    """Of the rest: one can do without."""


def read_cell(session: orm.Session, trial_id: int) -> Cell:
    """What a claimed trial brings along."""
    of_trial = {"of_trial": trial_id}
    known, left = {}, {}
    damage, problems = [], []
    for row in session.execute(PARAMETERS_OF, of_trial):
        try:
            known[row.param_name] = external(distribution(row.distribution_json), row.param_value)
        except Damaged as problem:
            damage.append(f"its {row.param_name} {problem}")
    for row in session.execute(INHERITED_OF, of_trial):
        try:
            left[row.key] = parse(row.key, row.value_json)
        except Damaged as problem:
            problems.append(f"{row.key} {problem}")
    return Cell(known, left, tuple(damage), tuple(problems))


def checkpoints_in_use(session: orm.Session, study_ids: Sequence[int]) -> tuple[set[str], set[int]]:
    """The keys of the checkpoints that unfinished trials point to, and the ids of the trials that run."""
    unfinished = cells_of_any(study_ids, *UNFINISHED)
    states = session.execute(select(trials.c.trial_id, trials.c.state).where(unfinished))
    running = {row.trial_id for row in states if row.state == TrialState.RUNNING}
    return checkpoint_keys(session, unfinished), running


def checkpoint_keys(rows: orm.Session | Connection, which: sqlalchemy.ColumnElement[bool]) -> set[str]:
    """The keys of the checkpoints that such trials point to."""
    pointers = (
        select(system_attributes.c.value_json)
        .join(trials, trials.c.trial_id == system_attributes.c.trial_id)
        .where(which, system_attributes.c.key == CHECKPOINT)
    )
    keys = set()
    for pointer in rows.execute(pointers).scalars():
        with suppress(Damaged):  # nobody goes on from where it points to
            keys.add(parse(CHECKPOINT, pointer).key)
    return keys


def insert_waiting(session: orm.Session, study_id: int, waiting: Sequence[Waiting]) -> list[int]:
    """Append WAITING trials to a locked study, numbered on from the last; their ids."""
    # Not their count, which is less where somebody has deleted some.
    # And in SQLite a number may be a text: one that is none, or none that is counted to, is no last one.
    number = sqlalchemy.cast(trials.c.number, sqlalchemy.BigInteger)
    last = select(sqlalchemy.func.max(number)).where(trials.c.study_id == study_id, number <= MOST)
    first = session.execute(last.select_from(trials)).scalar_one_or_none()
    first = 0 if first is None else first + 1
    rows = [
        {"study_id": study_id, "number": first + index, "state": TrialState.WAITING}
        for index in range(len(waiting))
    ]
    insert = trials.insert().returning(trials.c.trial_id, sort_by_parameter_order=True)
    trial_ids = session.execute(insert, rows).scalars().all()
    attributes = [(trial_id, one.system_attrs) for trial_id, one in zip(trial_ids, waiting, strict=True)]
    insert_attributes(session, system_attributes, attributes)
    shared = _Shared()
    values = [
        {
            "trial_id": trial_id,
            "param_name": name,
            "param_value": shared.number(distribution, one.params[name]),
            "distribution_json": shared.text(distribution, distribution_to_json),
        }
        for trial_id, one in zip(trial_ids, waiting, strict=True)
        for name, distribution in one.distributions.items()
    ]
    if values:
        session.execute(parameters.insert(), values)
    return list(trial_ids)


class _Shared:
    """What values are stored as, worked out once: the cells of a grid share their axes, long as these are.

    Objects are known by their identity, for as long as the caller holds them.
    """

    def __init__(self) -> None:
        self._texts: dict[int, str] = {}
        self._numbers: dict[tuple[int, type, Any], float] = {}

    def text(self, value: Any, to_text: Callable[[Any], str]) -> str:
        """The JSON of a value."""
        if id(value) not in self._texts:
            self._texts[id(value)] = to_text(value)
        return self._texts[id(value)]

    def number(self, distribution: BaseDistribution, value: Any) -> float:
        """What Optuna stores of a parameter: of a category its place in the axis, which it searches for."""
        key = id(distribution), type(value), value
        if key not in self._numbers:
            self._numbers[key] = distribution.to_internal_repr(value)
        return self._numbers[key]


def next_attempt(
    session: orm.Session, trial_id: int, failures: dict[str, int], axes: Mapping[str, BaseDistribution]
) -> Waiting:
    """The same cell once more, waiting. What else is stored of the attempt may be damaged.

    Raises:
        Damaged: it cannot be told what is to be run.
    """
    of_trial = {"of_trial": trial_id}
    system_attrs = {}
    for row in session.execute(KEPT_OF, of_trial):
        try:
            system_attrs[row.key] = load(row.value_json)
        except Damaged as problem:
            if row.key == CELL:
                raise Damaged(f"its cell {problem}") from None
    # What a sampler gave the first attempt is frozen: a retry is the same cell, not a new draw.
    # Another program that took the cell may have given it values of its own: they are not searched here.
    searched, params = {}, {}
    for row in session.execute(PARAMETERS_OF, of_trial):
        name = row.param_name
        try:
            if name in axes and distribution(row.distribution_json) == axes[name]:
                params[name] = external(axes[name], row.param_value)
                searched[name] = axes[name]
        except Damaged as problem:
            raise Damaged(f"its {name} {problem}") from None
    system_attrs |= {"fixed_params": params, FAILURES: failures}
    return Waiting(params, searched, system_attrs)


def fail(
    session: orm.Session, trial_id: int, failure: Failure, still: sqlalchemy.ColumnElement[bool]
) -> bool:
    """End a running attempt as failed, with its reason, if `still` holds of its row; whether it did."""
    # PostgreSQL: a heartbeat in flight holds the row; wait, so that the next statement sees it.
    hold(session, trials.c.trial_id == trial_id)
    runs = trials.c.trial_id == trial_id, trials.c.state == TrialState.RUNNING
    ended = trials.update().where(*runs, still).values(state=TrialState.FAIL, datetime_complete=utc_now())
    if not changed(session, ended):
        return False
    put(session, trial_id, user={FAILURE: failure.stored()})
    return True


def failures_of(session: orm.Session, trial_id: int) -> dict[str, int]:
    """How often its cell had failed before, by class; what nobody can read is no failure."""
    of_trial = system_attributes.c.trial_id == trial_id, system_attributes.c.key == FAILURES
    text = session.execute(select(system_attributes.c.value_json).where(*of_trial)).scalar()
    with suppress(Damaged):
        return dict(parse(FAILURES, text))
    return {}


def put_back(session: orm.Session, study_id: int, trial_id: int, failed_as: FailureClass, spec: Spec) -> bool:
    """Append the cell of a failed attempt once more, if its budget for this class of failure allows.

    Raises:
        Damaged: it cannot be told what is to be run.
    """
    failures = failures_of(session, trial_id)
    failures[failed_as] = failures.get(failed_as, 0) + 1
    if 0 <= getattr(spec.retry, failed_as) < failures[failed_as]:
        return False
    insert_waiting(session, study_id, [next_attempt(session, trial_id, failures, distributions(spec))])
    return True


def unexplained(study_id: int) -> sqlalchemy.ColumnElement[bool]:
    """That a row of `trials` is an attempt that another program has ended as failed: no reason is stored."""
    reason = sqlalchemy.exists().where(
        user_attributes.c.trial_id == trials.c.trial_id, user_attributes.c.key == FAILURE
    )
    return sqlalchemy.and_(cells_of(study_id, TrialState.FAIL), ~reason)


def is_last(session: orm.Session, study_id: int, trial_id: int) -> bool:
    """Whether no later trial is for the cell of this one."""
    of_trial = system_attributes.alias()
    later = (
        select(trials.c.trial_id)
        .join(system_attributes, system_attributes.c.trial_id == trials.c.trial_id)
        .join(of_trial, of_trial.c.value_json == system_attributes.c.value_json)
        .where(trials.c.study_id == study_id, trials.c.trial_id > trial_id)
        .where(system_attributes.c.key == CELL, of_trial.c.key == CELL, of_trial.c.trial_id == trial_id)
    )
    return session.execute(later.limit(1)).first() is None


def insert_attributes(
    session: orm.Session, table: sqlalchemy.Table, attributes: Sequence[tuple[int, Mapping[str, Any]]]
) -> None:
    """Write attributes of trials, as (trial id, attributes) pairs, into one of Optuna's attribute tables."""
    shared = _Shared()
    rows = [
        {"trial_id": trial_id, "key": key, "value_json": shared.text(value, json.dumps)}
        for trial_id, entries in attributes
        for key, value in entries.items()
    ]
    if rows:
        session.execute(table.insert(), rows)


def delete_rows(session: orm.Session, study_id: int) -> None:
    """Delete a study's rows from Optuna's tables and ours, children first."""
    lock_study(session, study_id)
    in_study = trials.c.study_id == study_id
    # Whoever writes to a trial holds its row first, so that nothing is added behind us.
    hold(session, in_study)
    trial_ids = select(trials.c.trial_id).where(in_study)
    ours = [table for table in (epochs, workers) if has_table(session.connection(), table)]
    tables = [*ours, *reversed(TABLES.sorted_tables)]
    for table in tables:
        if "trial_id" in table.c and table is not trials:
            session.execute(table.delete().where(table.c.trial_id.in_(trial_ids)))
    for table in tables:
        if "study_id" in table.c:
            session.execute(table.delete().where(table.c.study_id == study_id))
