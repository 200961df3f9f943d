"""Checks of single attempts: who held the lease, when, and how each ended."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from optuna.trial import TrialState

from mnist_tune.errors import Damaged
from mnist_tune.records.trained import FINISHED
from mnist_tune.storage.keys import CLAIM, FAILURE, WORKER
from mnist_tune.storage.optuna_internals import check_consistency, trial_id_of
from mnist_tune.verification.stored import Stored, StoredAttempt, failure_class, was_taken

SLACK = timedelta(milliseconds=1)
"""The precision with which SQLite's clock is read."""


def accepted(_: Stored, attempt: StoredAttempt) -> Iterator[str]:
    """Optuna accepts each trial: times, values and parameters fit its state and its search."""
    try:
        check_consistency(attempt.trial)
    except ValueError as error:
        yield str(error)


def reasoned(_: Stored, attempt: StoredAttempt) -> Iterator[str]:
    """Each failed attempt has its reason, in one of the classes that have retry budgets, or was extended."""
    failure = attempt.trial.user_attrs.get(FAILURE)
    if failure is None:
        yield "failed without a reason: not by a worker of ours; any worker puts the cell back"
    elif failure_class(attempt.trial) is None:
        yield "failed for a reason of an unknown class"
    elif not failure.get("reason"):
        yield f"failed as '{failure['class']}' without a reason"


def claimed(stored: Stored, attempt: StoredAttempt) -> Iterator[str]:
    """Each attempt that was begun has its claim, its worker and, once finished, its result."""
    trial = attempt.trial
    marks = {
        "claim": trial.system_attrs.get(CLAIM),
        "worker": trial.user_attrs.get(WORKER),
    }
    if trial.state == TrialState.WAITING:
        marks["start"] = trial.datetime_start
        yield from (f"waits, but has a {mark}" for mark, value in marks.items() if value)
    elif trial.state in FINISHED and not stored.trained.was_trained(trial):
        yield (
            f"is {trial.state.name}, but no worker has trained it: another program ended it; "
            f"'mnist-tune retry {stored.spec.study.name} --trial {trial.number}' puts its cell back"
        )
    elif not was_taken(trial):
        yield from (f"is {trial.state.name}, but has no {mark}" for mark, value in marks.items() if not value)


def claimed_once(stored: Stored, attempt: StoredAttempt) -> Iterator[str]:
    """No two attempts have the same claim."""
    token = attempt.trial.system_attrs.get(CLAIM)
    if token is not None and stored.claims[str(token)] > 1:
        yield "another trial has the same claim"


def in_turn(_: Stored, attempt: StoredAttempt) -> Iterator[str]:
    """The attempts at a cell follow one another in time: no clock was set back."""
    # Writes have that order: whoever fails an attempt makes the next one, which is claimed later.
    start, end = attempt.trial.datetime_start, attempt.trial.datetime_complete
    before = attempt.previous.datetime_complete if attempt.previous is not None else None
    if start is not None and end is not None and end < start - SLACK:
        yield f"ends at {_utc(end)}, before its start at {_utc(start)}"
    if start is not None and before is not None and start < before - SLACK:
        yield f"begins at {_utc(start)}, before the end of the attempt before it at {_utc(before)}"


def _utc(time: datetime) -> str:
    return f"{time.replace(tzinfo=None)} UTC"


def beaten(stored: Stored, attempt: StoredAttempt) -> Iterator[str]:
    """Each running attempt has a heartbeat, from its claim on."""
    silent = stored.silence.get(trial_id_of(attempt.trial))
    if silent is None:
        yield "runs without a heartbeat: any worker puts the cell back"
    elif isinstance(silent, Damaged):
        yield f"its heartbeat {silent}"


def alive(stored: Stored, attempt: StoredAttempt) -> Iterator[str]:
    """Each running attempt's worker gives signs of life."""
    silent = stored.silence.get(trial_id_of(attempt.trial))
    if isinstance(silent, float) and silent > stored.spec.lease.grace_period:
        yield (
            f"no heartbeat for {silent:.0f} s, longer than the grace period of "
            f"{stored.spec.lease.grace_period:g} s: any worker will put the cell back"
        )
