"""The cells of a study as a queue: claim, heartbeat, give back, and put back what a dead worker held.

A claim is one UPDATE from WAITING to RUNNING. A trial never returns to WAITING: an attempt that failed is
left as FAIL, with its reason, and its cell goes back as a new trial, both in one transaction.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import select

from mnist_tune.attributes import CELL, CLAIM, FAILURE, FAILURES, WORKER
from mnist_tune.cells import insert_attributes, insert_waiting, lock_study, next_attempt
from mnist_tune.database import utc_now
from mnist_tune.errors import MnistTuneError
from mnist_tune.failures import Failure
from mnist_tune.sections import Retry
from mnist_tune.storage import (
    UNFINISHED,
    GuardedStorage,
    changed,
    claimed_with,
    heartbeats,
    hold,
    system_attributes,
    trials,
)

user_attributes = models.TrialUserAttributeModel.__table__


@dataclass(frozen=True)
class Claim:
    """A trial this process holds the lease of."""

    trial_id: int
    number: int


class Queue:
    """The cells of one study, as one worker process sees them."""

    def __init__(self, storage: GuardedStorage, study_id: int, retry: Retry, grace_period: float) -> None:
        self._storage = storage
        self._study_id = study_id
        self._retry = retry
        self._grace_period = grace_period
        self._standing_still: dict[int, tuple[datetime | None, float]] = {}
        """Running trial's id to its last heartbeat and since when, on our clock, it has been that one."""

    def claim(self, worker: str) -> Claim | None:
        """Take the next waiting cell for the worker of this name, or None."""
        token = secrets.token_hex(8)
        first_waiting = (
            select(trials.c.trial_id)
            .where(self._cells(TrialState.WAITING))
            .order_by(trials.c.trial_id)
            .limit(1)
            .with_for_update(skip_locked=True)  # PostgreSQL: do not queue up behind another's claim
        )
        claim = (
            trials.update()
            .where(trials.c.trial_id == first_waiting.scalar_subquery(), trials.c.state == TrialState.WAITING)
            .values(state=TrialState.RUNNING, datetime_start=utc_now())
            .returning(trials.c.trial_id, trials.c.number)
        )
        with self._storage.transaction() as session:
            row = session.execute(claim).one_or_none()
            if row is None:
                return None
            trial_id = row.trial_id
            # Together with the claim: a trial that runs without a heartbeat would never be missed.
            session.execute(heartbeats.insert().values(trial_id=trial_id, heartbeat=utc_now()))
            insert_attributes(session, system_attributes, [(trial_id, {CLAIM: token})])
            insert_attributes(session, user_attributes, [(trial_id, {WORKER: worker})])
        self._storage.claims[trial_id] = token
        return Claim(trial_id, row.number)

    def beat(self, claim: Claim) -> None:
        """Renew the lease.

        Raises:
            UpdateFinishedTrialError: the lease is lost.
        """
        self._storage.record_heartbeat(claim.trial_id)

    def give_back(self, claim: Claim, failure: Failure) -> bool:
        """End the attempt as failed and put its cell back if its budget allows.

        Returns False, and changes nothing, if the lease was lost.
        """
        return self._fail(claim.trial_id, failure, claimed_with(self._storage.claims[claim.trial_id]))

    def complete(self, claim: Claim, value: float) -> None:
        """End the attempt, and with it the cell, with the objective's value.

        Raises:
            UpdateFinishedTrialError: the lease is lost.
        """
        # Not `study.tell`: it reads the trial twice and calls the sampler back, all of it to no use here.
        self._storage.set_trial_state_values(claim.trial_id, TrialState.COMPLETE, [value])

    def put_back_stale(self) -> list[int]:
        """Fail the attempts whose heartbeat stood still for the grace period; their trial numbers."""
        failure = Failure(
            "lost", f"no heartbeat for {self._grace_period:g} s: the worker or its machine died"
        )
        return [
            number
            for trial_id, number, heartbeat in self._stale()
            if self._fail(trial_id, failure, _heartbeat_is(heartbeat))
        ]

    def is_finished(self) -> bool:
        """Whether no cell waits or runs: each has ended or is a hole whose budget is spent.

        Raises:
            MnistTuneError: the study was deleted.
        """
        unfinished = select(trials.c.trial_id).where(self._cells(*UNFINISHED)).limit(1)
        with self._storage.transaction() as session:
            finished = session.execute(unfinished).first() is None
            if finished and session.get(models.StudyModel, self._study_id) is None:
                raise MnistTuneError("the study was deleted while this worker was on it")
            return finished

    def _cells(self, *states: TrialState) -> sqlalchemy.ColumnElement[bool]:
        # A trial that somebody enqueued through stock Optuna has no cell: it is not ours to run or to count.
        is_cell = sqlalchemy.exists().where(
            system_attributes.c.trial_id == trials.c.trial_id, system_attributes.c.key == CELL
        )
        return sqlalchemy.and_(trials.c.study_id == self._study_id, trials.c.state.in_(states), is_cell)

    def _stale(self) -> list[tuple[int, int, datetime | None]]:
        running = last_heartbeats().where(self._cells(TrialState.RUNNING))
        with self._storage.transaction() as session:
            rows = session.execute(running).all()
        # A server's clock is the same for all. SQLite's is one host's, and may be set back: there, only a
        # heartbeat that this process itself has watched stand still counts.
        server = self._storage.engine.dialect.name == "postgresql"
        grace = timedelta(seconds=self._grace_period)
        self._standing_still = {row.trial_id: self._watch(row.trial_id, row.heartbeat) for row in rows}
        now = time.monotonic()
        return [
            (row.trial_id, row.number, row.heartbeat)
            for row in rows
            if now - self._standing_still[row.trial_id][1] > self._grace_period
            or (server and row.heartbeat is not None and row.now - row.heartbeat > grace)
        ]

    def _watch(self, trial_id: int, heartbeat: datetime | None) -> tuple[datetime | None, float]:
        seen = self._standing_still.get(trial_id)
        return seen if seen is not None and seen[0] == heartbeat else (heartbeat, time.monotonic())

    def _fail(self, trial_id: int, failure: Failure, still: sqlalchemy.ColumnElement[bool]) -> bool:
        """FAIL the trial and put its cell back, if it still runs and `still` holds."""
        fail = trials.update().where(
            trials.c.trial_id == trial_id, trials.c.state == TrialState.RUNNING, still
        )
        with self._storage.transaction() as session:
            lock_study(session, self._study_id)
            # PostgreSQL: a heartbeat in flight holds the row; wait, so that the next statement sees it.
            hold(session, trials.c.trial_id == trial_id)
            if not changed(session, fail.values(state=TrialState.FAIL, datetime_complete=utc_now())):
                return False
            stored = {FAILURE: {"class": failure.kind, "reason": failure.reason}}
            insert_attributes(session, user_attributes, [(trial_id, stored)])
            attempt = self._storage._build_frozen_trial_from_trial_model(
                session.get_one(models.TrialModel, trial_id)
            )
            failures = dict(attempt.system_attrs.get(FAILURES, {}))
            failures[failure.kind] = failures.get(failure.kind, 0) + 1
            limit = getattr(self._retry, failure.kind)
            if limit < 0 or failures[failure.kind] <= limit:
                insert_waiting(session, self._study_id, [next_attempt(attempt, failures)])
        return True


def last_heartbeats() -> sqlalchemy.Select[Any]:
    """Trials with their last heartbeat, None if they never had one, and the database's time now."""
    columns = (trials.c.trial_id, trials.c.number, heartbeats.c.heartbeat, utc_now().label("now"))
    of_trial = heartbeats.c.trial_id == trials.c.trial_id
    return select(*columns).outerjoin_from(trials, heartbeats, of_trial)


def seconds_since_heartbeat(storage: GuardedStorage, study_id: int) -> dict[int, float]:
    """Trial id to age of the last heartbeat, by the database's clock, of the study's running trials."""
    running = last_heartbeats().where(
        trials.c.study_id == study_id,
        trials.c.state == TrialState.RUNNING,
        heartbeats.c.heartbeat.is_not(None),
    )
    with storage.transaction() as session:
        return {row.trial_id: (row.now - row.heartbeat).total_seconds() for row in session.execute(running)}


def _heartbeat_is(heartbeat: datetime | None) -> sqlalchemy.ColumnElement[bool]:
    """That the attempt's heartbeat is still the one that was found stale."""
    beat = sqlalchemy.exists().where(heartbeats.c.trial_id == trials.c.trial_id)
    return ~beat if heartbeat is None else beat.where(heartbeats.c.heartbeat == heartbeat)
