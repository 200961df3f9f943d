"""Reads the epochs of trials from our table into typed values."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from optuna.trial import TrialState
from pydantic import TypeAdapter
from sqlalchemy import func, orm, select

from mnist_tune.errors import Damaged
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.records.columns import TrialColumns, epoch_rows, rows_of
from mnist_tune.records.values import parse_as, possible
from mnist_tune.storage.keys import CLAIM, HISTORY
from mnist_tune.storage.optuna_internals import heartbeats, intermediate_values, trials
from mnist_tune.storage.tables import epochs


@dataclass(frozen=True, slots=True)
class _Numbers:
    """The stored metrics of one epoch. Keys that a later version adds are ignored."""

    training_loss: float
    validation_loss: float | None
    validation_accuracy: float | None
    images_per_second: float
    seconds: float


NUMBERS = TypeAdapter(_Numbers)
ALL_NUMBERS = TypeAdapter(list[_Numbers])
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
    """Number and accuracy of the epochs of finished trials that stock Optuna copied, by trial id.

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


def reported(reports: Sequence[tuple[Any, Any]]) -> list[EpochMetrics]:
    """The epochs of a copied trial, of which only number and accuracy are known. Raises Damaged."""
    history = []
    for epoch, accuracy in reports:
        if not (isinstance(epoch, int) and isinstance(accuracy, int | float)):
            raise Damaged(f"has {accuracy!r} for the epoch {epoch!r}")
        history.append(EpochMetrics(epoch, None, None, accuracy, None, None))
    return _possible(sorted(history, key=lambda each: each.epoch))


def history_of(rows: Sequence[tuple[Any, Any]]) -> list[EpochMetrics]:
    """The epochs in rows of number and metrics (a JSON text). Raises Damaged for the first bad one."""
    for epoch, _ in rows:
        if not isinstance(epoch, int):  # SQLite lets a column hold values of any type
            raise Damaged(f"has the epoch {epoch!r}")
    history = [
        EpochMetrics(
            epoch,
            numbers.training_loss,
            numbers.validation_loss,
            numbers.validation_accuracy,
            numbers.images_per_second,
            numbers.seconds,
        )
        for (epoch, _), numbers in zip(rows, _numbers_of(rows), strict=True)
    ]
    return _possible(history)


def _numbers_of(rows: Sequence[tuple[Any, Any]]) -> list[_Numbers]:
    """The metrics of each row. Raises Damaged for the first that are damaged."""
    with suppress(Damaged, TypeError):  # a damaged row is looked for below
        # All at once: that takes half the time of one after the other.
        found: list[_Numbers] = parse_as(ALL_NUMBERS, f"[{','.join(text for _, text in rows)}]")
        if len(found) == len(rows):
            return found
    each = []
    for epoch, text in rows:
        try:
            each.append(parse_as(NUMBERS, text))
        except Damaged as problem:
            raise Damaged(f"is damaged in epoch {epoch}: {problem}") from None
    return each


def _possible(history: list[EpochMetrics]) -> list[EpochMetrics]:
    try:
        return possible(history)
    except ValueError as problem:
        raise Damaged(f"is damaged: {problem}") from None
