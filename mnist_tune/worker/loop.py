"""One worker process: claims a cell, runs it, stores how it ended, until the study is finished."""

from __future__ import annotations

import enum
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from mnist_tune.contract.claim import Claim, Standing
from mnist_tune.contract.lease import Heartbeat, Lease
from mnist_tune.contract.retrying import StorageRetry
from mnist_tune.contract.study import (
    Control,
    LeaseLost,
    SamplerFailed,
    StorageAway,
    StudyForWorkers,
    WorkerFacts,
    new_token,
)
from mnist_tune.errors import MnistTuneError
from mnist_tune.failures import AttemptFailed, Failure, Pruned
from mnist_tune.text.wording import first_line, parameters_text
from mnist_tune.worker.attempt import Attempt
from mnist_tune.worker.signals import Interrupted, StopRequest
from mnist_tune.worker.trial import Trial

STAND_BY_SECONDS = 1.0  # how soon a cell that another worker gave back is picked up
BLAMES_THE_MACHINE = {"exception", "out_of_memory", "timeout"}
"""Failures that a bad machine can cause; a loss of nan is the cell's own."""

RunTrial = Callable[[Trial], float]
"""A job: runs one trial, calls its `check` often, and returns the objective's value."""


class Ended(enum.Enum):
    """Why a worker left."""

    FINISHED = "the study is finished"
    ENOUGH = "ran as many trials as it was asked to"
    STOPPED = "was asked to stop"
    CANCELLED = "the study is cancelled; 'mnist-tune resume' goes on with it"
    HALTED = "the study is stopped"
    FAILING = "too many trials in a row failed here that had not failed elsewhere; see to this machine"


LEAVES = {
    Standing.FINISHED: Ended.FINISHED,
    Standing.CANCELLED: Ended.CANCELLED,
    Standing.STOPPED: Ended.HALTED,
}
"""States of a study in which a worker leaves, since there is nothing to wait for."""


def words_of(ended: Ended, study: StudyForWorkers) -> str:
    """Why a worker leaves, in words; a study that is stopped is asked for its reason."""
    said: str = ended.value
    if ended is not Ended.HALTED:
        return said
    reason = study.stopped()
    why = "" if reason is None else f": {reason.told(study.spec.description)}"
    return f"{said}{why}; 'mnist-tune resume' goes on with it"


class Worker:
    """Runs trials of a study until it is finished, `max_trials` are done, or a stop is requested."""

    def __init__(
        self,
        study: StudyForWorkers,
        run_trial: RunTrial,
        stop: StopRequest,
        log: Callable[[str], None],
        *,
        device: str = "cpu",
        max_trials: int | None = None,
    ) -> None:
        self._study = study
        self._run_trial = run_trial
        self._stop = stop
        self._log = log
        self._me = WorkerFacts.of_this_process(device)
        self._max_trials = max_trials
        self._ask = StorageRetry(study.spec.lease.storage_timeout, log, hurry=lambda: stop.times > 1)
        self._lease = study.spec.lease
        self._in_hand: Attempt | None = None
        self._failures_in_a_row = 0
        self._last_failure = ""

    def work(self) -> Ended:
        """Register, work until there is a reason to leave, and return that reason."""
        self._lease = self._ask(lambda: self._study.register(self._me))
        self._sweep()
        try:
            with Heartbeat(self._beat, self._lease.heartbeat_interval, self._log):
                ended = self._loop()
        except BaseException as error:
            self._leave(first_line(f"{type(error).__name__}: {error}"))
            raise
        if ended is Ended.FINISHED:
            self._sweep(is_over=True)
        why = {
            Ended.STOPPED: self._stop.reason,
            Ended.FAILING: f"{ended.value}; the last: {self._last_failure}",
        }.get(ended) or self._ask(lambda: words_of(ended, self._study))
        self._log(f"leaving: {why}")
        self._leave(why)
        return ended

    def _loop(self) -> Ended:
        done = 0
        while not self._stop.requested:
            if done == self._max_trials:
                return Ended.ENOUGH
            for number, what in self._ask(self._study.put_back_stale).items():
                self._log(f"trial {number}: {what}")
            claim = self._ask(partial(self._study.claim, self._me, new_token()))
            if isinstance(claim, Standing):
                if claim in LEAVES:
                    return LEAVES[claim]
                self._stop.wait(STAND_BY_SECONDS)  # paused, or the last cells run elsewhere and may come back
                continue
            self._run(claim)
            done += 1
            if self._failures_in_a_row >= claim.limits.failures_in_a_row > 0:
                return Ended.FAILING
        return Ended.STOPPED

    def _run(self, claim: Claim) -> None:
        """Run one claimed trial and store how it ended."""
        lease = Lease(self._lease.grace_period)
        attempt = Attempt(self._study, claim, lease, self._stop, self._log)
        self._in_hand = attempt
        try:
            failure = self._end(attempt)
        except LeaseLost as lost:
            attempt.say(str(lost) or "the lease is lost; abandoned, another worker has the cell")
        else:
            if failure is None:
                self._failures_in_a_row = 0
            elif failure.kind in BLAMES_THE_MACHINE and not (claim.failures or claim.damage):
                self._failures_in_a_row += 1
                self._last_failure = first_line(f"{failure.kind}: {failure.reason}")
        finally:
            self._in_hand = None

    def _end(self, attempt: Attempt) -> Failure | None:
        """Run the attempt and store its end; returns the failure, None for success. Raises LeaseLost."""
        claim = attempt.claim
        for problem in claim.problems:
            attempt.say(f"what is stored is damaged: {problem}; left alone")
        try:
            if claim.damage:
                damage = "; ".join(claim.damage)
                raise AttemptFailed(Failure("exception", f"what is stored of it cannot be read: {damage}"))
            trial = attempt.trial
            trial.parameters = self._ask(lambda: self._study.parameters(claim))
            self._fetch_state(attempt)
            trial.say(f"begins with {parameters_text(trial.parameters)}")
            value = self._run_trial(trial)
            attempt.complete(value, self._ask)
            return None
        except Pruned:
            attempt.prune(self._ask)
            return None
        except Interrupted as interruption:
            failure = Failure("preempted", str(interruption))
        except AttemptFailed as failed:
            failure = failed.failure
        except SamplerFailed as failed:
            failure = Failure("exception", str(failed))
        except (LeaseLost, MnistTuneError):
            raise  # not the trial's fault
        except Exception as error:
            failure = Failure.of_exception(error)
        attempt.give_back(failure, self._ask)
        return failure

    def _fetch_state(self, attempt: Attempt) -> None:
        """Have the state from which the trial goes on at hand; without it the trial begins anew."""
        try:
            self._ask(lambda: self._study.fetch_state(attempt.claim))
        except OSError as error:
            attempt.say(f"its state cannot be fetched: {error.strerror or error}")

    def _beat(self) -> None:
        attempt = self._in_hand
        try:
            if attempt is not None:
                attempt.beat()
        except LeaseLost:
            attempt = None
        if attempt is None:
            orders = self._study.beat(self._me, None, None)
        else:
            orders = self._study.beat(self._me, attempt.claim.number, attempt.trial.units_per_second)
        if orders.drain and not self._stop.requested:
            self._stop.request("the worker was drained by 'mnist-tune drain'")
        if orders.control is Control.CANCELLED and not self._stop.requested:
            self._stop.request("the study was cancelled")

    def _sweep(self, *, is_over: bool = False) -> None:
        """Delete states that no attempt will use, and files that were left half written."""
        try:
            self._ask(lambda: self._study.sweep(is_over=is_over))
        except OSError as error:
            self._log(f"files cannot be cleared up: {error.strerror or error}")

    def _leave(self, reason: str) -> None:
        with suppress(StorageAway):  # others will see the worker fall silent
            self._study.leave(self._me, reason)
