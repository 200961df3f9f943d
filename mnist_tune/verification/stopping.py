"""Checks of a study that its [stop] has stopped: for a reason that is true, and nothing was begun since."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

from optuna.trial import TrialState

from mnist_tune.contract.study import Control
from mnist_tune.errors import Damaged
from mnist_tune.queue.account import ACCOUNT_TYPE, Account
from mnist_tune.records.trained import FINISHED
from mnist_tune.records.values import parse_as
from mnist_tune.spec.stopped import Stopped
from mnist_tune.storage.keys import ACCOUNT, CONTROL
from mnist_tune.verification.attempts import SLACK
from mnist_tune.verification.stored import Stored, StoredAttempt


def stopped(stored: Stored, _: None) -> Iterator[str]:
    """A study that has stopped by its [stop] has a reason, and the reason is true."""
    try:
        reason = _reason(stored)
    except Damaged as problem:
        yield f"what [stop] has counted {problem}; the next claim counts anew"
        return
    if reason is not None:
        yield from _untrue(stored, reason)
    elif stored.study_attributes.get(CONTROL) == Control.STOPPED:
        yield f"is stopped without a reason; 'mnist-tune resume {stored.spec.study.name}' goes on with it"


def begun_before(stored: Stored, attempt: StoredAttempt) -> Iterator[str]:
    """No attempt was begun after the study had stopped."""
    try:
        reason = _reason(stored)
    except Damaged:  # `stopped` reports it
        return
    start = attempt.trial.datetime_start
    if reason is not None and start is not None and _utc(start) > reason.when + SLACK:
        yield f"was begun at {_utc(start)}, though the study had stopped at {reason.when}"


def _reason(stored: Stored) -> Stopped | None:
    """Why the study is stopped now; None if it goes on, or never stopped. Raises Damaged."""
    if stored.study_attributes.get(CONTROL, Control.RUNNING) == Control.RUNNING:
        return None
    if ACCOUNT not in stored.study_attributes:
        return None
    account: Account = parse_as(ACCOUNT_TYPE, json.dumps(stored.study_attributes[ACCOUNT]))
    return account.stopped


def _untrue(stored: Stored, reason: Stopped) -> Iterator[str]:
    sign = stored.spec.description.sign
    before = [
        attempt.trial
        for attempt in stored.attempts
        if attempt.trial.datetime_complete is not None
        and _utc(attempt.trial.datetime_complete) <= reason.when + SLACK
    ]
    complete = [trial for trial in before if trial.state == TrialState.COMPLETE and trial.values]
    ended = [trial for trial in before if trial.state in FINISHED]
    failed = [trial for trial in before if trial.state == TrialState.FAIL]
    best = reason.value
    match reason.condition:
        case "target" if best is None or sign * best < sign * reason.limit:
            yield f"stopped at {best}, which does not reach the target of {reason.limit}"
        case "no_improvement" if not len(ended) >= reason.count >= reason.limit:
            yield f"stopped after {reason.count} trials without a better result; {len(ended)} had ended"
        case "max_failures" if not len(failed) >= reason.count >= reason.limit:
            yield f"stopped after {reason.count} failed attempts; {len(failed)} had failed"
        case "wall_clock":
            starts = [_utc(one.trial.datetime_start) for one in stored.attempts if one.trial.datetime_start]
            seconds = (reason.when - min(starts, default=reason.when)).total_seconds()
            if seconds < reason.limit - SLACK.total_seconds():
                yield f"stopped {seconds:.0f} s after its first claim, before its {reason.limit:.0f} s"
    if reason.trial is not None:
        its = [trial.values for trial in complete if trial.number == reason.trial]
        if its != [[best]]:
            found = its[0] if its else "no result"
            yield f"stopped when trial {reason.trial} was the best with {best}, but it has {found}"


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time
