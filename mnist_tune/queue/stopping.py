"""Stops a study by the conditions of its [stop]: checked in the transaction of each claim, stored once."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import orm

from mnist_tune.contract.study import Control
from mnist_tune.queue.account import (
    Account,
    account_to_change,
    bring_up_to_date,
    count_anew,
    write_account,
)
from mnist_tune.queue.cells import lock_study
from mnist_tune.queue.control import control_in, put_control
from mnist_tune.spec.stopped import Condition, Stopped
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.statements import database_time


class MayNotClaimError(Exception):
    """A condition of [stop] holds: the claim that has found this is to be undone."""


def account_for_claim(session: orm.Session, study_id: int, spec: Spec, trial_id: int) -> None:
    """Check the conditions of [stop] in the transaction that has just claimed a trial.

    Raises:
        MayNotClaimError: one of them holds, or the study has stopped already.
    """
    account = account_to_change(session, study_id)
    now = database_time(session)
    bring_up_to_date(session, study_id, account, spec.description.sign, now, trial_id)
    if account.stopped is not None or condition_of(account, spec, now) is not None:
        raise MayNotClaimError
    write_account(session, study_id, account)


def stop_if_due(session: orm.Session, study_id: int, spec: Spec) -> None:
    """Stop the study if a condition of its [stop] holds; what has stopped or is held up stays as it is."""
    lock_study(session, study_id)
    if control_in(session, study_id) is not Control.RUNNING:
        return
    account = account_to_change(session, study_id)
    now = database_time(session)
    if account.stopped is not None:  # a program that knows no [stop] has gone on with it
        count_anew(session, study_id, resumed=now)
        return
    bring_up_to_date(session, study_id, account, spec.description.sign, now)
    account.stopped = condition_of(account, spec, now)
    if account.stopped is not None:
        put_control(session, study_id, Control.STOPPED)
        write_account(session, study_id, account)


def condition_of(account: Account, spec: Spec, now: datetime) -> Stopped | None:
    """The first condition of [stop] that holds, in the order in which they are listed there."""
    stop, sign = spec.stop, spec.description.sign
    best, passed = account.best, account.passed
    is_new = best is not None and (passed is None or sign * best > sign * passed)
    if stop.target is not None and best is not None and is_new and sign * best >= sign * stop.target:
        return _stopped(account, "target", stop.target, now)
    seconds = 0.0 if account.began is None else (now - account.began).total_seconds()
    if stop.wall_clock is not None and seconds >= stop.wall_clock:
        return _stopped(account, "wall_clock", stop.wall_clock, now)
    if stop.no_improvement is not None and account.without_better >= stop.no_improvement:
        return _stopped(account, "no_improvement", stop.no_improvement, now, account.without_better)
    if stop.max_failures is not None and account.failures >= stop.max_failures:
        return _stopped(account, "max_failures", stop.max_failures, now, account.failures)
    return None


def _stopped(account: Account, condition: Condition, limit: float, now: datetime, count: int = 0) -> Stopped:
    return Stopped(
        condition=condition,
        limit=float(limit),
        when=now,
        trial=account.best_trial,
        value=account.best,
        count=count,
    )
