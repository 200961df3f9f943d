"""Inserts and deletes the rows of a study's trials: all cells at once, or one for each retry."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.trial import TrialState
from sqlalchemy import orm, select

from mnist_tune.jobs.hyperparameters import MOST
from mnist_tune.queue.cells import lock_study
from mnist_tune.records.distributions import Waiting
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.storage.optuna_internals import TABLES, parameters, system_attributes, trials
from mnist_tune.storage.statements import hold
from mnist_tune.storage.tables import epochs, has_table, workers


def insert_waiting(session: orm.Session, study_id: int, waiting: Sequence[Waiting]) -> list[int]:
    """Append WAITING trials to a locked study, with the numbers after its last one; returns their ids."""
    # Not the count of trials, which is too small where somebody has deleted some. SQLite may hold a text or a
    # number past all counting in place of a number: neither counts as the last one.
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
    """Caches what values are stored as: the cells of a grid share their axes, which may be long.

    Objects are known by their identity, so the caller must keep them alive meanwhile.
    """

    def __init__(self) -> None:
        self._texts: dict[int, str] = {}
        self._numbers: dict[tuple[int, type, Any], float] = {}

    def text(self, value: Any, to_text: Callable[[Any], str]) -> str:
        """The JSON text of a value."""
        if id(value) not in self._texts:
            self._texts[id(value)] = to_text(value)
        return self._texts[id(value)]

    def number(self, distribution: BaseDistribution, value: Any) -> float:
        """The number that Optuna stores for a parameter: of a category its index, slow to search for."""
        key = id(distribution), type(value), value
        if key not in self._numbers:
            self._numbers[key] = distribution.to_internal_repr(value)
        return self._numbers[key]


def insert_attributes(
    session: orm.Session, table: sqlalchemy.Table, attributes: Sequence[tuple[int, Mapping[str, Any]]]
) -> None:
    """Insert (trial id, attributes) pairs into one of Optuna's attribute tables."""
    shared = _Shared()
    rows = [
        {"trial_id": trial_id, "key": key, "value_json": shared.text(value, json.dumps)}
        for trial_id, entries in attributes
        for key, value in entries.items()
    ]
    if rows:
        session.execute(table.insert(), rows)


def delete_study_rows(storage: GuardedStorage, study_id: int) -> None:
    """Delete a study's rows from Optuna's tables and ours, child rows first, in one transaction.

    Optuna's own function loads everything first, and deletes nothing if a row is added meanwhile.
    """
    storage.mend()
    with storage.transaction() as session:
        lock_study(session, study_id)
        in_study = trials.c.study_id == study_id
        # A writer locks its trial's row first, so that no row can be added while these are deleted.
        hold(session, in_study)
        tables = _children_first(session)
        _delete_of_trials(session, tables, lambda of: of.in_(select(trials.c.trial_id).where(in_study)))
        for table in tables:
            if "study_id" in table.c:
                session.execute(table.delete().where(table.c.study_id == study_id))


def delete_orphans(session: orm.Session) -> None:
    """Delete rows that belong to deleted trials: SQLite gives their ids to new trials."""
    gone = select(trials.c.trial_id)
    _delete_of_trials(session, _children_first(session), lambda of: of.not_in(gone))


def _children_first(session: orm.Session) -> list[sqlalchemy.Table]:
    """Optuna's tables and those of ours that the database has, each before the tables that it refers to."""
    ours = [table for table in (epochs, workers) if has_table(session.connection(), table)]
    return [*ours, *reversed(TABLES.sorted_tables)]


def _delete_of_trials(
    session: orm.Session,
    tables: Sequence[sqlalchemy.Table],
    which: Callable[[sqlalchemy.Column[Any]], sqlalchemy.ColumnElement[bool]],
) -> None:
    """Delete the rows that refer to trials whose ids meet the condition, but no trials."""
    for table in tables:
        if "trial_id" in table.c and table is not trials:
            session.execute(table.delete().where(which(table.c.trial_id)))
