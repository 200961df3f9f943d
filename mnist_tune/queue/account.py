"""What the conditions of [stop] need to know of a study: one attribute, which each claim brings up to date.

A claim reads no trials but those that were in hand at the claim before it, so that it costs as little in a
study of ten thousand cells as in one of ten. The attribute's row is also the lock under which one claim after
another accounts for itself. Who changes what counts has the next claim count everything anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import sqlalchemy
from optuna.trial import TrialState
from pydantic import ConfigDict, FiniteFloat, TypeAdapter
from sqlalchemy import bindparam, orm, select
from sqlalchemy.engine import Row

from mnist_tune.errors import Damaged
from mnist_tune.failures import EXTENDED
from mnist_tune.jobs.hyperparameters import Count
from mnist_tune.queue.cells import OF_STUDY, cells_of, lock_study
from mnist_tune.records.columns import raw
from mnist_tune.records.trained import FINISHED
from mnist_tune.records.values import StoredModel, Text, moment, parse, parse_as
from mnist_tune.spec.stopped import Stopped
from mnist_tune.storage.keys import ACCOUNT, FAILURE, RESULT, REUSED
from mnist_tune.storage.optuna_internals import study_attributes, system_attributes, trials, user_attributes
from mnist_tune.storage.prepared import Prepared
from mnist_tune.storage.statements import UNFINISHED, put_in_study

ENDED = (*FINISHED, TrialState.FAIL)
SAYS_NOTHING = {"preempted", "closed", EXTENDED}
"""The classes of failures of attempts that somebody stopped or gave more epochs, and of closed tickets."""


class Account(StoredModel):
    """What has happened in a study up to its last claim. Every claim replaces it."""

    model_config = ConfigDict(frozen=False)

    in_hand: list[tuple[Count, Count]] | None = None
    """The ids and numbers of the trials that ran then. None: all trials are to be counted anew."""
    resumed: datetime | None = None
    """When somebody went on with the study after it had stopped: what was before counts no more."""
    began: datetime | None = None
    """When the first trial was claimed."""
    best: FiniteFloat | None = None
    """The best result of a complete trial."""
    best_trial: Count | None = None
    passed: FiniteFloat | None = None
    """The best result of the time before the study was resumed."""
    without_better: Count = 0
    """How many trials have ended since the best one."""
    failures: Count = 0
    stopped: Stopped | None = None
    """Why no cell is given out. Once written it stays until somebody goes on with the study."""

    def add(self, row: Row[Any], sign: int) -> None:
        """Count a trial that has ended; `sign` is 1 if larger values are better, else -1."""
        is_before = (
            self.resumed is not None and (_moment(row.datetime_complete) or self.resumed) <= self.resumed
        )
        if row.state == TrialState.FAIL:
            self.failures += not is_before and _failed_as(row.failure) not in SAYS_NOTHING
            return
        value = _result(row)
        if value is None:  # no worker of ours ended it
            return
        is_best = row.state == TrialState.COMPLETE and (self.best is None or sign * value > sign * self.best)
        if is_best:
            self.best, self.best_trial, self.without_better = value, row.number, 0
            self.passed = value if is_before else self.passed
        elif row.reused is None and not is_before:
            self.without_better += 1


ACCOUNT_TYPE = TypeAdapter(Account)


_ACCOUNT_OF = select(study_attributes.c.value_json).where(
    study_attributes.c.study_id == bindparam("of_study"), study_attributes.c.key == ACCOUNT
)
ACCOUNT_OF = Prepared(_ACCOUNT_OF)
ACCOUNT_TO_CHANGE = Prepared(_ACCOUNT_OF.with_for_update())
RUNNING_OF = Prepared(
    select(trials.c.trial_id, trials.c.number).where(cells_of(OF_STUDY, TrialState.RUNNING))
)


def read_account(session: orm.Session, study_id: int, *, to_change: bool = False) -> Account | None:
    """The study's account, locked if it is `to_change`; None if there is none.

    Raises:
        Damaged: what is stored is none.
    """
    statement = ACCOUNT_TO_CHANGE if to_change else ACCOUNT_OF
    text: Text = statement.execute(session, {"of_study": study_id}).scalar()
    if text is None:
        return None
    account: Account = parse_as(ACCOUNT_TYPE, text)
    return account


def account_to_change(session: orm.Session, study_id: int) -> Account:
    """The study's account, locked until the transaction ends; a new one if none can be read."""
    with suppress(Damaged):
        account = read_account(session, study_id, to_change=True)
        if account is not None:
            return account
    lock_study(session, study_id)  # there is no row yet that could be locked
    with suppress(Damaged):
        return read_account(session, study_id, to_change=True) or Account()
    return Account()


def write_account(session: orm.Session, study_id: int, account: Account) -> None:
    """Store a study's account, which the transaction has locked."""
    put_in_study(session, study_id, {ACCOUNT: account.model_dump(mode="json", exclude_defaults=True)})


def count_anew(session: orm.Session, study_id: int, *, resumed: datetime | None = None) -> None:
    """Have the next claim count all trials; those that ended before `resumed` then count no more."""
    account = account_to_change(session, study_id)
    stopped = account.stopped if resumed is None else None
    write_account(session, study_id, Account(resumed=resumed or account.resumed, stopped=stopped))


def bring_up_to_date(
    session: orm.Session,
    study_id: int,
    account: Account,
    sign: int,
    now: datetime,
    claimed: int | None = None,
) -> None:
    """Count what has ended since the last claim; `claimed` is the trial that this transaction claims."""
    known = [] if not account.in_hand else _read(session, _these(study_id, account.in_hand))
    if account.in_hand is None or {(row.trial_id, row.number) for row in known} != set(account.in_hand):
        # Somebody has deleted some, or has copied the study, so that its trials have other ids here.
        known = _count_all(session, study_id, account, sign, now, claimed)
    for row in sorted(known, key=_end):
        if row.state not in UNFINISHED:
            account.add(row, sign)
    # Those that run are read after those that have ended: none is missed that ends between the two.
    of_running = RUNNING_OF.execute(session, {"of_study": study_id})
    running = {(row.trial_id, row.number) for row in of_running}
    account.in_hand = sorted(
        running | {(row.trial_id, row.number) for row in known if row.state in UNFINISHED}
    )


def _these(study_id: int, in_hand: Sequence[tuple[int, int]]) -> sqlalchemy.ColumnElement[bool]:
    ids = [trial_id for trial_id, _ in in_hand]
    return sqlalchemy.and_(trials.c.study_id == study_id, trials.c.trial_id.in_(ids))


def _count_all(
    session: orm.Session, study_id: int, account: Account, sign: int, now: datetime, claimed: int | None
) -> list[Row[Any]]:
    """Count everything anew that has ended; returns what still runs.

    What runs is read first: what ends just then is read as ended too, and is not missed.
    """
    fresh = Account(resumed=account.resumed, stopped=account.stopped)
    for name in Account.model_fields:
        setattr(account, name, getattr(fresh, name))
    running = _read(session, cells_of(study_id, TrialState.RUNNING))
    ended = _read(session, cells_of(study_id, *ENDED))
    own = [row for row in (*ended, *running) if row.reused is None and row.trial_id != claimed]
    starts = [time for row in own if (time := _moment(row.datetime_start)) is not None]
    account.began = min(
        (time for time in starts if account.resumed is None or time > account.resumed), default=now
    )
    for row in sorted(ended, key=_end):
        account.add(row, sign)
    counted = {row.trial_id for row in ended}
    return [row for row in running if row.trial_id not in counted]


def _read(session: orm.Session, which: sqlalchemy.ColumnElement[bool]) -> list[Row[Any]]:
    """The trials with this condition, and what their workers have stored of their ends."""
    columns: list[Any] = [trials.c.trial_id, trials.c.state]
    joined: Any = trials
    for name, table, key in (
        ("result", system_attributes, RESULT),
        ("failure", user_attributes, FAILURE),
        ("reused", user_attributes, REUSED),
    ):
        attribute = table.alias(name)
        of_trial = sqlalchemy.and_(attribute.c.trial_id == trials.c.trial_id, attribute.c.key == key)
        joined = joined.outerjoin(attribute, of_trial)
        columns.append(attribute.c.value_json.label(name))
    columns += raw(trials, "number", "datetime_start", "datetime_complete")
    return list(session.execute(select(*columns).select_from(joined).where(which)).all())


def _end(row: Row[Any]) -> tuple[Any, ...]:
    time = _moment(row.datetime_complete)
    return time is None, time, row.trial_id


def _moment(stored: Any) -> datetime | None:
    with suppress(Damaged):
        return moment(stored)
    return None


def _result(row: Row[Any]) -> float | None:
    with suppress(Damaged):
        number, value = parse(RESULT, row.result)
        return float(value) if number == row.number else None
    return None


def _failed_as(text: Any) -> str | None:
    with suppress(Damaged):
        kind: str = parse(FAILURE, text).kind
        return kind
    return None
