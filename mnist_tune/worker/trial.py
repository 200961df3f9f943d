"""A claimed trial as the job that runs it sees it: its parameters, when it is to stop, what it reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mnist_tune.failures import Pruned
from mnist_tune.files.checkpoints import Checkpoint
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.queue.claim import Claim
from mnist_tune.search.pruners import Decision
from mnist_tune.storage.keys import ENVIRONMENT, RESUMED, STATE
from mnist_tune.storage.retrying import failure_that_may_pass
from mnist_tune.worker.attempt_record import AttemptRecord
from mnist_tune.worker.signals import StopRequest


class Trial:
    """What a job may ask and tell. While the storage is away, what it tells is kept, and training goes on."""

    def __init__(
        self, record: AttemptRecord, stop: StopRequest, decide: Callable[[int], Decision] | None = None
    ) -> None:
        self.claim: Claim = record.claim
        self.parameters: dict[str, Any] = {}
        self.images_per_second: float | None = None
        self.files: dict[str, bytes] = {}
        """The final files by name, which become artifacts of the trial when it is complete."""
        self.decided: dict[str, Any] = {}
        """What the pruner keeps with a trial that it has ended: system attributes."""
        self._record = record
        self._stop = stop
        self._decide = decide

    def say(self, line: str) -> None:
        """A line for the worker's log and the trial's own."""
        self._record.say(line)

    def check(self) -> None:
        """Between batches, or more often.

        Raises:
            LeaseLost: others may have the cell by now.
            Interrupted: the worker was told a second time to stop.
        """
        self._record.lease.check()
        self._stop.check_urgent()

    @property
    def is_to_drain(self) -> bool:
        """Whether the worker was asked to leave: at the end of the epoch, save the state and give back."""
        return self._stop.requested

    @property
    def stop_reason(self) -> str:
        """Who asked."""
        return self._stop.reason

    def began(self, environment: dict[str, Any]) -> None:
        """Note what the trial runs on and with."""
        self._record.note(ENVIRONMENT, environment)

    def resumed(self, history: list[EpochMetrics], note: dict[str, Any], *, last: bool = False) -> None:
        """Take over the epochs that an earlier attempt has done, or note why there are none.

        Raises:
            LeaseLost: others have the cell.
            Pruned: as `epoch_done`; the earlier attempt may have been cut off before that was decided.
        """
        self._record.note(RESUMED, note)
        self._record.add(history)
        if self._record.store_now() and history and not last:
            self._judge()

    def epoch_done(
        self, metrics: EpochMetrics, checkpoint: Checkpoint | None = None, *, last: bool = False
    ) -> None:
        """Store an epoch's numbers and, if one was made, the pointer to the state after it.

        Those of the last epoch are stored with the end of the trial, which follows at once, unless there is
        a state to go on from.

        Raises:
            LeaseLost: others have the cell.
            Pruned: the study's pruner ends the trial here, which is not asked of the last epoch.
        """
        self.images_per_second = metrics.images_per_second
        if checkpoint is not None and STATE in self._record.not_kept:
            self._record.note_unsaved(STATE, None)
        self._record.add([metrics], checkpoint)
        if last and checkpoint is None:
            return
        if self._record.store_now() and not last:
            self._judge()

    def no_checkpoint(self, reason: str) -> None:
        """Note, with the epoch that follows, why there is no state to go on from after it."""
        if self._record.not_kept.get(STATE) != reason:
            self.say(f"no checkpoint was saved: {reason}")
            self._record.note_unsaved(STATE, reason)

    def discard(self, checkpoint: Checkpoint) -> None:
        """Delete a state that was saved after the trial had been given up."""
        self._record.delete(checkpoint)

    def keep_file(self, name: str, content: bytes) -> None:
        """Keep a final file, which becomes an artifact of the trial when it ends."""
        self.files[name] = content

    def _judge(self) -> None:
        """Ask the pruner. Raises Pruned or LeaseLost."""
        if self._decide is None:
            return
        try:
            prune, system = self._decide(self.claim.trial_id)
        except Exception as error:
            if failure_that_may_pass(error) is None:
                raise
            self.say("the storage does not answer; whether to prune is asked after the next epoch")
            return
        if prune:
            self.decided = system  # stored with the trial's end, or not at all
            raise Pruned
        if system:
            self._record.note_decision(system)
            self._record.store_now()
