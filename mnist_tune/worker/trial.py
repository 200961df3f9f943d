"""A claimed trial as its job sees it: parameters to train with, when to stop, and what to report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mnist_tune.contract.claim import Claim
from mnist_tune.contract.study import Decision, StorageAway
from mnist_tune.failures import Pruned
from mnist_tune.files.checkpoints import Checkpoint
from mnist_tune.jobs.description import JobDescription
from mnist_tune.jobs.evaluation import Evaluation
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.storage.keys import ENVIRONMENT, RESUMED, STATE
from mnist_tune.worker.attempt_record import AttemptRecord
from mnist_tune.worker.signals import StopRequest


class Trial:
    """The calls of a job. While the storage is away, reports are kept and stored later."""

    def __init__(
        self,
        record: AttemptRecord,
        stop: StopRequest,
        job: JobDescription,
        decide: Callable[[Claim], Decision] | None = None,
    ) -> None:
        self.claim: Claim = record.claim
        self.parameters: dict[str, Any] = {}
        self.units_per_second: float | None = None
        self.files: dict[str, bytes] = {}
        """The final files by name; they become artifacts of the trial when it is complete."""
        self.evaluation: Evaluation | None = None
        """The results of its model on test data, if the study measures them; stored with its end."""
        self.decided: dict[str, Any] = {}
        """System attributes that the pruner wants kept with a trial that it has ended."""
        self._record = record
        self._stop = stop
        self._job = job
        self._decide = decide

    def say(self, line: str) -> None:
        """Write a line to the worker's log and to the trial's own log."""
        self._record.say(line)

    def printed(self, content: bytes) -> None:
        """Write what the job has printed to the trial's own log; any thread may call this."""
        self._record.printed(content)

    def check(self) -> None:
        """Raise if the trial must stop now; call it between batches, or more often.

        Raises:
            LeaseLost: another worker may have the cell.
            Interrupted: the worker was told a second time to stop.
        """
        self._record.lease.check()
        self._stop.check_urgent()

    @property
    def is_to_drain(self) -> bool:
        """Whether the worker was asked to leave: the job ends after this epoch, with its state saved."""
        return self._stop.requested

    @property
    def stop_reason(self) -> str:
        """Who asked the worker to leave."""
        return self._stop.reason

    def began(self, environment: dict[str, Any]) -> None:
        """Note what the trial runs on."""
        self._record.note(ENVIRONMENT, environment)

    def resumed(self, history: list[EpochMetrics], note: dict[str, Any], *, last: bool = False) -> None:
        """Take over the epochs that an earlier attempt has done, or note why there are none.

        Raises:
            LeaseLost: another worker has the cell.
            Pruned: as `epoch_done`; the earlier attempt may have ended before the pruner was asked.
        """
        self._record.note(RESUMED, note)
        self._record.add(history)
        if self._record.store_now() and history and not last:
            self._judge()

    def epoch_done(
        self, metrics: EpochMetrics, checkpoint: Checkpoint | None = None, *, last: bool = False
    ) -> None:
        """Store an epoch's metrics and, if it was saved, the pointer to the state after it.

        The last epoch without a saved state is stored with the end of the trial, which follows at once.

        Raises:
            LeaseLost: another worker has the cell.
            Pruned: the study's pruner ends the trial here; it is not asked after the last epoch.
        """
        self.units_per_second = metrics[self._job.rate] if self._job.rate else None
        if checkpoint is not None and STATE in self._record.not_kept:
            self._record.note_unsaved(STATE, None)
        self._record.add([metrics], checkpoint)
        if last and checkpoint is None:
            return
        if self._record.store_now() and not last:
            self._judge()

    def no_checkpoint(self, reason: str) -> None:
        """Note why the state after the coming epoch could not be saved."""
        if self._record.not_kept.get(STATE) != reason:
            self.say(f"no checkpoint was saved: {reason}")
            self._record.note_unsaved(STATE, reason)

    def state_saved(self, checkpoint: Checkpoint) -> None:
        """Store the pointer to a state that was saved within an epoch. Raises LeaseLost."""
        self._record.add([], checkpoint)
        self._record.store_now()

    def discard(self, checkpoint: Checkpoint) -> None:
        """Delete a state that was saved after the worker had given the trial up."""
        self._record.delete(checkpoint)

    def measured(self, evaluation: Evaluation) -> None:
        """Take the results of the model on test data."""
        self.evaluation = evaluation

    def keep_file(self, name: str, content: bytes) -> None:
        """Keep a final file, which becomes an artifact when the trial is complete."""
        self.files[name] = content

    def _judge(self) -> None:
        """Ask the pruner about the trial. Raises Pruned or LeaseLost."""
        if self._decide is None:
            return
        try:
            prune, system = self._decide(self.claim)
        except StorageAway:
            self.say("the storage does not answer; whether to prune is asked after the next epoch")
            return
        if prune:
            self.decided = system  # stored with the trial's end, or not at all
            raise Pruned
        if system:
            self._record.note_decision(system)
            self._record.store_now()
