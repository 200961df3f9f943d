"""An attempt at a cell as its worker sees it: its lease is renewed, and its end is stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from mnist_tune.contract.claim import Claim
from mnist_tune.contract.lease import Lease
from mnist_tune.contract.retrying import StorageRetry
from mnist_tune.contract.study import StudyForWorkers
from mnist_tune.failures import Failure
from mnist_tune.jobs.metric import words
from mnist_tune.storage.keys import EVALUATION, LAST_CHECKPOINT
from mnist_tune.text.wording import first_line
from mnist_tune.worker.attempt_record import AttemptRecord
from mnist_tune.worker.signals import StopRequest
from mnist_tune.worker.trial import Trial


class Attempt:
    """A claimed trial. The worker's heartbeat thread calls `beat`."""

    def __init__(
        self,
        study: StudyForWorkers,
        claim: Claim,
        lease: Lease,
        stop: StopRequest,
        log: Callable[[str], None],
    ) -> None:
        self.claim = claim
        self._study = study
        self._job = study.spec.description
        self._record = AttemptRecord(study, claim, lease, log)
        self.trial = Trial(self._record, stop, self._job, study.decide if study.prunes else None)
        """The view of this attempt that a job gets."""

    def say(self, line: str) -> None:
        """Write a line to the worker's log and to the trial's own log."""
        self._record.say(line)

    def beat(self) -> None:
        """Renew the lease, and store what could not be stored before. Raises LeaseLost."""
        self._record.lease.renew(lambda: self._study.renew(self.claim))
        self._record.store_if_free()

    def complete(self, value: float, ask: StorageRetry) -> None:
        """End the trial and its cell with the objective's value.

        Raises:
            LeaseLost: another worker has the cell.
        """
        self.say(f"complete: {words(self._job.objective)} {self._job.text(value)}")
        found = self.trial.evaluation
        results: dict[str, Any] = {} if found is None else {EVALUATION: found.stored()}
        last = self._record.last_state(ask) if self.claim.limits.keep_last else None
        if last is not None:
            results[LAST_CHECKPOINT] = asdict(last)
        self._record.finish(self._study.complete, value, ask, self.trial.files, results, last)

    def prune(self, ask: StorageRetry) -> None:
        """End the trial and its cell as pruned; its value is that of the epochs that it had.

        Raises:
            LeaseLost: another worker has the cell.
        """
        last = self._record.last_epoch
        assert last is not None  # the pruner is asked after an epoch only
        value = self._job.counted_value(self._record.values)
        self.say(f"pruned after epoch {last.epoch}: {words(self._job.objective)} {self._job.text(value)}")
        self._record.finish(self._study.prune, value, ask, {}, self.trial.decided)

    def give_back(self, failure: Failure, ask: StorageRetry) -> None:
        """End the trial as failed, and put its cell back if its budget allows.

        Raises:
            LeaseLost: another worker has the cell.
        """
        self.say(f"{failure.kind}: {first_line(failure.reason)}")
        files = self._record.upload({}, ask)
        ask(self._record.store)
        ask(lambda: self._study.give_back(self.claim, failure, files))
