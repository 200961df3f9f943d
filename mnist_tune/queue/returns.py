"""Puts cells back whose attempts have failed, fallen silent, or were ended by another program.

A failed attempt is left as FAIL, with its reason, and its cell goes back as a new trial, both in one
transaction. Every method may be called again after a storage error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy
from optuna.trial import TrialState
from sqlalchemy import orm, select

from mnist_tune.errors import Damaged
from mnist_tune.failures import Failure, FailureClass
from mnist_tune.queue.cells import cells_of, is_last, lock_study, unexplained
from mnist_tune.queue.current_spec import CurrentSpec
from mnist_tune.queue.heartbeat_monitor import Watch
from mnist_tune.queue.retries import fail, put_back
from mnist_tune.records.trained import UNEXPLAINED
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.storage.keys import FAILURE
from mnist_tune.storage.optuna_internals import trials
from mnist_tune.storage.statements import put


class Returns:
    """Puts the failed cells of one study back, on behalf of one worker."""

    def __init__(self, storage: GuardedStorage, study_id: int, now: CurrentSpec) -> None:
        self._storage = storage
        self._study_id = study_id
        self._now = now
        self._grace_period = now.spec.lease.grace_period
        self._watch = Watch(storage, cells_of(study_id, TrialState.RUNNING), self._grace_period)

    @property
    def is_time_to_look(self) -> bool:
        """Whether `put_back_stale` would look at heartbeats now."""
        return self._watch.is_due

    def fail(
        self,
        trial_id: int,
        failure: Failure,
        still: sqlalchemy.ColumnElement[bool],
        system: Mapping[str, Any] | None = None,
    ) -> str | None:
        """End an attempt as failed if `still` holds; what became of its cell, or None if nothing was done."""
        with self._storage.transaction() as session:
            lock_study(session, self._study_id)
            if not fail(session, trial_id, failure, still):
                return None
            put(session, trial_id, system=system or {})
            its_cell = self._put_back(session, trial_id, failure.kind)
        self._storage.claims.pop(trial_id, None)  # a head has those of all its workers
        return its_cell

    def put_back_stale(self) -> dict[int, str]:
        """Fail the attempts whose heartbeat stood still for the grace period, and put their cells back.

        Cells whose attempt another program has ended as failed are put back too. Returns what has happened,
        by trial number.
        """
        of_others = self._put_back_unexplained() if self._watch.is_due else {}
        failure = Failure(
            "lost", f"no heartbeat for {self._grace_period:g} s: the worker or its machine died"
        )
        lost = {
            trial.number: f"its worker is gone; {its_cell}"
            for trial in self._watch.silent()
            if (its_cell := self.fail(trial.trial_id, failure, trial.still())) is not None
        }
        return of_others | lost

    def _put_back(self, session: orm.Session, trial_id: int, failed_as: FailureClass) -> str:
        """Put the cell of a failed attempt back if its budget allows; says in words what became of it."""
        try:
            is_back = put_back(session, self._study_id, trial_id, failed_as, self._now.read(session))
        except Damaged as problem:  # what cannot be read cannot be tried again
            return f"its cell is not put back: {problem}"
        spent = f"its cell is not put back: the budget of retry.{failed_as} is spent"
        return "put the cell back" if is_back else spent

    def _put_back_unexplained(self) -> dict[int, str]:
        """Store a reason for attempts that another program failed, and put their cells back."""
        of_others = select(trials.c.trial_id, trials.c.number).where(unexplained(self._study_id))
        with self._storage.transaction() as session:
            found = session.execute(of_others).all()
        return {
            row.number: f"{UNEXPLAINED.reason}; {its_cell}"
            for row in found
            if (its_cell := self._explain(row.trial_id)) is not None
        }

    def _explain(self, trial_id: int) -> str | None:
        """Store why another program's attempt failed; what became of its cell, None if stored before."""
        still = select(trials.c.trial_id).where(trials.c.trial_id == trial_id, unexplained(self._study_id))
        with self._storage.transaction() as session:
            lock_study(session, self._study_id)
            if session.execute(still).first() is None:
                return None
            put(session, trial_id, user={FAILURE: UNEXPLAINED.stored()})
            if not is_last(session, self._study_id, trial_id):
                return "its cell was put back before"
            return self._put_back(session, trial_id, UNEXPLAINED.kind)
