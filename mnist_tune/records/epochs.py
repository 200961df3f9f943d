"""Reads the epochs of trials from our table into typed values."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any, TypeAlias

from optuna.trial import TrialState
from pydantic import Field, TypeAdapter
from sqlalchemy import func, orm, select

from mnist_tune.errors import Damaged
from mnist_tune.jobs.description import JobDescription
from mnist_tune.jobs.metric import NAME
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.records.columns import TrialColumns, epoch_rows, rows_of
from mnist_tune.records.values import parse_as, possible
from mnist_tune.storage.keys import CLAIM, HISTORY
from mnist_tune.storage.optuna_internals import heartbeats, intermediate_values, trials
from mnist_tune.storage.tables import epochs

Numbers: TypeAlias = dict[Annotated[str, Field(pattern=NAME)], float | None]
"""The metrics of an epoch; their names stand in tables."""
NUMBERS: TypeAdapter[Numbers] = TypeAdapter(Numbers)
ALL_NUMBERS: TypeAdapter[list[Numbers]] = TypeAdapter(list[Numbers])
FINISHED_NAMES = (TrialState.COMPLETE.name, TrialState.PRUNED.name)


def last_epochs(session: orm.Session, study_id: int) -> dict[int, tuple[Any, Any]]:
    """The number and the metrics (a JSON text) of the last epoch of each trial of the study, by trial id."""
    later = epochs.alias("later")
    latest = select(func.max(later.c.epoch)).where(later.c.trial_id == epochs.c.trial_id).scalar_subquery()
    is_last = (trials.c.study_id == study_id) & (epochs.c.epoch == latest)
    return {trial_id: (epoch, metrics) for trial_id, epoch, metrics in epoch_rows(session, is_last)}


def copied_reports(
    session: orm.Session, study_id: int, columns: Sequence[TrialColumns]
) -> dict[int, list[tuple[Any, Any]]]:
    """Number and objective of the epochs of finished trials that stock Optuna copied, by trial id.

    Stock Optuna copies the values that a trial reported, but not our table of epochs. A trial that ran in
    this storage has a heartbeat, and no copy brings one along.
    """
    without = {
        trial.trial_id
        for trial in columns
        if trial.state in FINISHED_NAMES
        and CLAIM in trial.system
        and not trial.epochs
        and HISTORY not in trial.user
    }
    found: dict[int, list[tuple[Any, Any]]] = {}
    if not without:
        return found
    in_study = trials.c.study_id == study_id
    ran_here = select(heartbeats.c.trial_id).join(trials, trials.c.trial_id == heartbeats.c.trial_id)
    without -= set(session.execute(ran_here.where(in_study)).scalars())
    for trial_id, step, value in rows_of(
        session, intermediate_values, in_study, "step", "intermediate_value"
    ):
        if trial_id in without:
            found.setdefault(trial_id, []).append((step, value))
    return found


def reported(reports: Sequence[tuple[Any, Any]], job: JobDescription) -> list[EpochMetrics]:
    """The epochs of a copied trial, of which only the objective is known. Raises Damaged."""
    history = []
    for epoch, value in reports:
        if not (isinstance(epoch, int) and isinstance(value, int | float)):
            raise Damaged(f"has {value!r} for the epoch {epoch!r}")
        history.append(EpochMetrics(epoch, {job.objective: value}))
    return _possible(sorted(history, key=lambda each: each.epoch), job)


def history_of(rows: Sequence[tuple[Any, Any]], job: JobDescription) -> list[EpochMetrics]:
    """The epochs in rows of number and metrics (a JSON text). Raises Damaged for the first bad one."""
    for epoch, _ in rows:
        if not isinstance(epoch, int):  # SQLite lets a column hold values of any type
            raise Damaged(f"has the epoch {epoch!r}")
    numbers = _numbers_of(rows)
    for (epoch, _), found in zip(rows, numbers, strict=True):
        if found.get(job.objective) is None and job.test_metric is None:
            raise Damaged(f"is damaged in epoch {epoch}: {job.objective}: missing")
    return _possible(
        [EpochMetrics(epoch, found) for (epoch, _), found in zip(rows, numbers, strict=True)], job
    )


def _numbers_of(rows: Sequence[tuple[Any, Any]]) -> list[dict[str, float | None]]:
    """The metrics of each row. Raises Damaged for the first that are damaged."""
    with suppress(Damaged, TypeError):  # a damaged row is looked for below
        # All at once: that takes half the time of one after the other.
        found: list[dict[str, float | None]] = parse_as(
            ALL_NUMBERS, f"[{','.join(text for _, text in rows)}]"
        )
        if len(found) == len(rows):
            return found
    each = []
    for epoch, text in rows:
        try:
            each.append(parse_as(NUMBERS, text))
        except Damaged as problem:
            raise Damaged(f"is damaged in epoch {epoch}: {problem}") from None
    return each


def _possible(history: list[EpochMetrics], job: JobDescription) -> list[EpochMetrics]:
    try:
        return possible(history, job)
    except ValueError as problem:
        raise Damaged(f"is damaged: {problem}") from None
