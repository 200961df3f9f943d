"""The cells of a study as a queue: claim, renew, give back, and put back what a dead worker held.

A claim is one UPDATE from WAITING to RUNNING. A trial never returns to WAITING: a failed attempt is left as
FAIL, with its reason, and its cell goes back as a new trial, both in one transaction.

Every method may be called again after a storage error, even if only the answer was lost.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Unpack

import sqlalchemy
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState
from sqlalchemy import orm, select

from mnist_tune.contract.claim import Claim, Standing
from mnist_tune.contract.study import Control, new_token
from mnist_tune.errors import MnistTuneError
from mnist_tune.failures import Failure
from mnist_tune.queue.cells import (
    claim_first,
    claimed_before,
    have_ended,
    read_cell,
    without_what_is_older,
)
from mnist_tune.queue.control import control_in, is_held_up, why_stopped
from mnist_tune.queue.current_spec import CurrentSpec
from mnist_tune.queue.returns import Returns
from mnist_tune.queue.stopping import MayNotClaimError, account_for_claim, stop_if_due
from mnist_tune.spec.sections import LeaseSettings
from mnist_tune.spec.stopped import Stopped
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.storage.keys import CHECKPOINT, CLAIM, FAILURE, FAILURES, RESULT, WORKER
from mnist_tune.storage.notes import Notes
from mnist_tune.storage.optuna_internals import studies, system_attributes, trials, user_attributes
from mnist_tune.storage.prepared import Prepared
from mnist_tune.storage.statements import beat, claimed_with, end, has_attribute, put

TOKENS_IN_MIND = 10_000
"""Of how many claims it is known that their tokens were used."""


class Queue:
    """The cells of one study, as one worker process sees them."""

    def __init__(
        self, storage: GuardedStorage, study_id: int, spec: Spec, given: dict[str, int] | None = None
    ) -> None:
        self._storage = storage
        self._study_id = study_id
        self._now = CurrentSpec(study_id, spec)
        self._given: dict[str, int] = {} if given is None else given
        """The trials that were claimed here, by token; only the last ones."""
        self._returns = Returns(storage, study_id, self._now)
        self._claim_first = Prepared(claim_first(study_id, ~is_held_up(study_id)))
        self._claimed_before = Prepared(claimed_before(study_id))

    @property
    def spec(self) -> Spec:
        """The study's spec as it was at the last claim."""
        return self._now.spec

    def with_lease(self, lease: LeaseSettings) -> Queue:
        """The same queue with another lease, which was set after the study was opened."""
        spec = self.spec.model_copy(update={"lease": lease})
        return Queue(self._storage, self._study_id, spec, self._given)

    def claim(self, worker: str, token: str | None = None) -> Claim | None:
        """Claim the next waiting cell for the worker with this name; None if no cell can be claimed.

        The claim has a new token, or the given one: then a cell that an earlier call has claimed with it is
        the answer, and if its attempt has ended there is none.
        """
        try:
            with self._storage.transaction() as session:
                made = self._made(session, token) if token is not None else None
                if token is None or (made is None and not self._is_spent(session, token)):
                    claim = self._take(session, token or new_token(), worker)
                elif made is not None and made.state == TrialState.RUNNING.name:
                    claim = self._claimed(session, made, token, self._now.read(session))
                else:
                    claim = None
        except MayNotClaimError:
            with self._storage.transaction() as session:
                stop_if_due(session, self._study_id, self._now.read(session))
            return None
        if claim is not None:
            self._storage.keep_claim(claim.trial_id, claim.token)
            self._given[claim.token] = claim.trial_id
            if len(self._given) > TOKENS_IN_MIND:
                del self._given[next(iter(self._given))]
        return claim

    def parameters(self, claim: Claim) -> dict[str, Any]:
        """The parameters that are stored for a claimed trial now."""
        with self._storage.transaction() as session:
            return read_cell(session, claim.trial_id).parameters

    def beat(self, claim: Claim) -> None:
        """Renew the lease.

        Raises:
            UpdateFinishedTrialError: the lease is lost.
        """
        with self._storage.guarded(claim.trial_id, claim.token) as session:
            beat(session, claim.trial_id)

    def record(self, claim: Claim, **notes: Unpack[Notes]) -> None:
        """Store attributes, intermediate values and epochs of the attempt, and renew the lease.

        A call that a slow network delivers after a newer one takes neither the pointer to the newer state nor
        what was said since of unsaved files.

        Raises:
            UpdateFinishedTrialError: the lease is lost.
        """
        with self._storage.guarded(claim.trial_id, claim.token) as session:
            put(session, claim.trial_id, **without_what_is_older(session, claim.trial_id, notes))
            beat(session, claim.trial_id)

    def complete(self, claim: Claim, value: float, **notes: Unpack[Notes]) -> None:
        """End the attempt and its cell as complete, with the objective's value and last notes.

        Raises:
            UpdateFinishedTrialError: the lease is lost.
        """
        self._finish(claim, TrialState.COMPLETE, value, **notes)

    def prune(self, claim: Claim, value: float, **notes: Unpack[Notes]) -> None:
        """End the attempt and its cell as pruned; `value` is the last one that the attempt reported.

        Raises:
            UpdateFinishedTrialError: the lease is lost.
        """
        self._finish(claim, TrialState.PRUNED, value, **notes)

    def give_back(self, claim: Claim, failure: Failure, system: Mapping[str, Any] | None = None) -> bool:
        """End the attempt as failed, and put its cell back if its retry budget allows.

        Returns False, and changes nothing, if the lease was lost.
        """
        failed = self._returns.fail(claim.trial_id, failure, claimed_with(claim.token), system)
        return failed is not None or self._ended_as(
            claim, TrialState.FAIL, has_attribute(user_attributes, FAILURE, failure.stored())
        )

    @property
    def is_time_to_look(self) -> bool:
        """Whether `put_back_stale` would look at heartbeats now."""
        return self._returns.is_time_to_look

    def put_back_stale(self) -> dict[int, str]:
        """Fail silent attempts and put their cells back; what happened, by trial number. See `Returns`."""
        return self._returns.put_back_stale()

    def standing(self) -> Standing:
        """Why no cell could be claimed.

        Raises:
            MnistTuneError: the study was deleted.
        """
        with self._storage.transaction() as session:
            if have_ended(session, self._study_id):
                study = select(studies.c.study_id).where(studies.c.study_id == self._study_id)
                if session.execute(study).first() is None:
                    raise MnistTuneError("the study was deleted while this worker was on it")
                return Standing.FINISHED
            return {
                Control.RUNNING: Standing.OPEN,
                Control.PAUSED: Standing.PAUSED,
                Control.CANCELLED: Standing.CANCELLED,
                Control.STOPPED: Standing.STOPPED,
            }[control_in(session, self._study_id)]

    def stopped(self) -> Stopped | None:
        """Why the study has stopped by its [stop]; None if it has not."""
        return why_stopped(self._storage, self._study_id)

    def _finish(self, claim: Claim, state: TrialState, value: float, **notes: Unpack[Notes]) -> None:
        # Not `study.tell`: it reads the trial twice and calls the sampler, and neither is needed here.
        result = [claim.number, value]
        notes["system"] = {**notes.get("system", {}), RESULT: result}
        try:
            with self._storage.guarded(claim.trial_id, claim.token) as session:
                put(session, claim.trial_id, **notes)
                end(session, claim.trial_id, state, [value])
            self._storage.claims.pop(claim.trial_id, None)
        except UpdateFinishedTrialError:
            if not self._ended_as(claim, state, has_attribute(system_attributes, RESULT, result)):
                raise

    def _take(self, session: orm.Session, token: str, worker: str) -> Claim | None:
        row = self._claim_first.execute(session).one_or_none()
        if row is None:
            return None
        spec = self._now.read(session)
        if spec.stop.conditions:
            account_for_claim(session, self._study_id, spec, row.trial_id)
        # In the claim's transaction: a running trial without a heartbeat would never be found silent.
        beat(session, row.trial_id)
        put(session, row.trial_id, user={WORKER: worker}, system={CLAIM: token})
        return self._claimed(session, row, token, spec)

    def _made(self, session: orm.Session, token: str) -> sqlalchemy.Row[Any] | None:
        """The trial that an earlier call claimed although its answer was lost; None if there is none."""
        return self._claimed_before.execute(session, {"token": json.dumps(token)}).first()

    def _is_spent(self, session: orm.Session, token: str) -> bool:
        """Whether an attempt that was given out here with this token has ended.

        The call that comes now was made before it: nobody would work on another cell.
        """
        if (trial_id := self._given.get(token)) is None:
            return False
        state = session.execute(select(trials.c.state).where(trials.c.trial_id == trial_id)).scalar()
        return state is not None and state.is_finished()

    def _claimed(self, session: orm.Session, trial: sqlalchemy.Row[Any], token: str, spec: Spec) -> Claim:
        """The claim on a trial, with its cell read in the claim's transaction rather than through Optuna."""
        known, left, damage, problems = read_cell(session, trial.trial_id)
        checkpoint, failures = left.get(CHECKPOINT), left.get(FAILURES, {})
        of_trial = trial.trial_id, trial.number, token
        epochs = None if "epochs" in spec.search.axes else int(spec.training.epochs)
        return Claim(*of_trial, known, checkpoint, failures, damage, problems, spec.limits, epochs)

    def _ended_as(self, claim: Claim, state: TrialState, left: sqlalchemy.ColumnElement[bool]) -> bool:
        """Whether this attempt was ended in this way by an earlier write whose answer was lost."""
        ended = trials.c.trial_id == claim.trial_id, trials.c.state == state, left
        is_it = *ended, claimed_with(claim.token)
        with self._storage.transaction() as session:
            return session.execute(select(trials.c.trial_id).where(*is_it)).first() is not None
