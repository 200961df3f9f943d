"""One attempt at a cell, as the job that runs it sees it: its parameters, its lease, what it stores."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from mnist_tune.failures import Failure, Pruned
from mnist_tune.files.checkpoints import Checkpoint, CheckpointStore
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.queue.claim import Claim
from mnist_tune.queue.lease import Lease, LeaseLost
from mnist_tune.queue.queue import Queue
from mnist_tune.search.pruners import Decision
from mnist_tune.storage.artifacts import ArtifactFolder, upload
from mnist_tune.storage.keys import CHECKPOINT, ENVIRONMENT, LOG, NOT_KEPT, RESUMED, STATE, WEIGHTS
from mnist_tune.storage.retrying import Patience, failure_that_may_pass
from mnist_tune.storage.statements import Notes
from mnist_tune.text.times import log_stamp
from mnist_tune.text.wording import first_line, last_lines, percent
from mnist_tune.worker.signals import StopRequest

LOG_FILE = "log.txt"
MAX_LOG_LENGTH = 32_000
"""Of the log in the storage, as it is stored: an attribute stays under 64 KB."""


class Attempt:
    """A claimed trial. While the storage is away it keeps what is to be stored, and training goes on.

    The worker's heartbeat thread calls `beat`; everything else belongs to the thread that runs the trial.
    """

    def __init__(
        self,
        queue: Queue,
        claim: Claim,
        lease: Lease,
        stop: StopRequest,
        log: Callable[[str], None],
        checkpoints: CheckpointStore,
        artifacts: ArtifactFolder,
        decide: Callable[[int], Decision] | None = None,
    ) -> None:
        self.claim = claim
        self.parameters: dict[str, Any] = {}
        self._queue = queue
        self._lease = lease
        self._stop = stop
        self._log = log
        self._checkpoints = checkpoints
        self._artifacts = artifacts
        self._decide = decide
        self._lock = threading.Lock()  # the heartbeat thread stores too what is left over
        self._unstored = _Record()
        self._stored_checkpoint = claim.checkpoint
        self._decided: dict[str, Any] = {}
        self._last: EpochMetrics | None = None
        self._files: dict[str, bytes] = {}
        self._not_kept: dict[str, str] = {}
        self._lines: list[str] = []
        self.images_per_second: float | None = None

    def say(self, line: str) -> None:
        """A line for the worker's log and the trial's own."""
        self._lines.append(f"{log_stamp()} {line}")
        self._log(f"trial {self.claim.number}: {line}")

    def check(self) -> None:
        """Between batches, or more often.

        Raises:
            LeaseLost: others may have the cell by now.
            Interrupted: the worker was told a second time to stop.
        """
        self._lease.check()
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
        """Note what the attempt runs on and with."""
        with self._lock:
            self._unstored.user[ENVIRONMENT] = environment

    def resumed(self, history: list[EpochMetrics], note: dict[str, Any], *, last: bool = False) -> None:
        """Take over the epochs that an earlier attempt has done, or note why there are none.

        Raises:
            LeaseLost: others have the cell.
            Pruned: as `epoch_done`; the earlier attempt may have been cut off before that was decided.
        """
        with self._lock:
            self._unstored.user[RESUMED] = note
        self._add(history)
        if self._store_now() and history and not last:
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
        if checkpoint is not None and STATE in self._not_kept:
            self._note(STATE, None)
        self._add([metrics], checkpoint)
        if last and checkpoint is None:
            return
        if self._store_now() and not last:
            self._judge()

    def no_checkpoint(self, reason: str) -> None:
        """Note, with the epoch that follows, why there is no state to go on from after it."""
        if self._not_kept.get(STATE) != reason:
            self.say(f"no checkpoint was saved: {reason}")
            self._note(STATE, reason)

    def discard(self, checkpoint: Checkpoint) -> None:
        """Delete a state that was saved after the trial had been given up."""
        self._delete(checkpoint)

    def keep_file(self, name: str, content: bytes) -> None:
        """Keep a final file, which becomes an artifact of the trial when it ends."""
        self._files[name] = content

    def beat(self) -> None:
        """Renew the lease, and store what could not be stored before. Raises LeaseLost."""
        self._lease.renew(lambda: self._queue.beat(self.claim))
        self._lease.renew(self._store)

    def complete(self, value: float, ask: Patience) -> None:
        """End the trial and its cell with the objective's value.

        Raises:
            LeaseLost: others have the cell.
        """
        self.say(f"complete: validation accuracy {percent(value)}")
        self._finish(self._queue.complete, value, self._files, ask)

    def prune(self, ask: Patience) -> None:
        """End the trial and its cell after its last epoch, whose accuracy is its value, as in Optuna.

        Raises:
            LeaseLost: others have the cell.
        """
        assert self._last is not None  # the pruner is asked after an epoch
        epoch, accuracy = self._last.epoch, self._last.validation_accuracy
        assert accuracy is not None
        self.say(f"pruned after epoch {epoch}: validation accuracy {percent(accuracy)}")
        self._finish(self._queue.prune, accuracy, {}, ask)

    def give_back(self, failure: Failure, ask: Patience) -> None:
        """End the trial as failed and put its cell back, if its budget allows.

        Raises:
            LeaseLost: others have the cell.
        """
        self.say(f"{failure.kind}: {first_line(failure.reason)}")
        files = self._upload({})
        self._lease.renew(lambda: ask(self._store))
        if not ask(lambda: self._queue.give_back(self.claim, failure, files)):
            raise LeaseLost

    def _finish(
        self, finish: Callable[..., None], value: float, files: dict[str, bytes], ask: Patience
    ) -> None:
        kept = self._upload(files) | self._decided

        def write() -> None:
            notes = self._unstored.notes
            notes["system"] = {**notes["system"], **kept}
            finish(self.claim, value, **notes)

        with self._lock:
            self._lease.renew(lambda: ask(write))
        self._delete(self._stored_checkpoint, self._unstored.checkpoint)

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
            self._decided = system  # stored with the trial's end, or not at all
            raise Pruned
        if system:
            with self._lock:
                self._unstored.decided |= system
            self._store_now()

    def _add(self, epochs: list[EpochMetrics], checkpoint: Checkpoint | None = None) -> None:
        with self._lock:
            for metrics in epochs:
                self._last = metrics
                self._unstored.epochs[metrics.epoch] = metrics.numbers()
                if metrics.validation_accuracy is not None:
                    self._unstored.reports[metrics.epoch] = metrics.validation_accuracy
            self._unstored.checkpoint = checkpoint or self._unstored.checkpoint

    def _store_now(self) -> bool:
        """Unless the storage is away; whether it was done. Raises LeaseLost."""
        try:
            self._lease.renew(self._store)
            return True
        except Exception as error:
            if failure_that_may_pass(error) is None:
                raise
            self.say("the storage does not answer; training goes on, and this is stored later")
            return False

    def _store(self) -> None:
        with self._lock:
            record = self._unstored
            if not (record.user or record.epochs or record.decided):
                return
            self._queue.record(self.claim, **record.notes)
            self._unstored = _Record()
            if record.checkpoint is not None:
                self._delete(self._stored_checkpoint)  # only now that nothing points to it
                self._stored_checkpoint = record.checkpoint

    def _upload(self, files: dict[str, bytes]) -> dict[str, str]:
        """Write the final files; the attributes that point to them, and the log itself."""
        pointers, problem = self._write(files)
        if problem:
            self.say(f"its weights could not be kept as an artifact: {problem}")
            self._note(WEIGHTS, problem)
        of_the_log, problem = self._write({LOG_FILE: "".join(f"{line}\n" for line in self._lines).encode()})
        if problem:
            self.say(f"its log could not be kept as an artifact: {problem}")
        return pointers | of_the_log | {LOG: last_lines(self._lines, MAX_LOG_LENGTH)}

    def _write(self, files: dict[str, bytes]) -> tuple[dict[str, str], str | None]:
        try:
            return upload(self._artifacts, self.claim.token, files), None
        except OSError as error:
            return {}, error.strerror or str(error)

    def _note(self, kind: str, reason: str | None) -> None:
        """Store with what follows why something could not be kept, or that it could be after all."""
        with self._lock:
            self._not_kept = {key: why for key, why in self._not_kept.items() if key != kind}
            if reason is not None:
                self._not_kept[kind] = reason
            self._unstored.user[NOT_KEPT] = self._not_kept

    def _delete(self, *checkpoints: Checkpoint | None) -> None:
        for checkpoint in filter(None, checkpoints):
            with suppress(OSError):  # swept later
                self._checkpoints.delete(checkpoint.key)


@dataclass
class _Record:
    """What an attempt has not stored yet."""

    user: dict[str, Any] = field(default_factory=dict)
    epochs: dict[int, dict[str, float | None]] = field(default_factory=dict)
    """Metrics by epoch. Those that an earlier attempt has done are among them: a trial has all of its own."""
    reports: dict[int, float] = field(default_factory=dict)
    decided: dict[str, Any] = field(default_factory=dict)
    """What the pruner keeps with the trial: system attributes."""
    checkpoint: Checkpoint | None = None

    @property
    def notes(self) -> Notes:
        """All of it, for the queue."""
        pointer = {} if self.checkpoint is None else {CHECKPOINT: asdict(self.checkpoint)}
        system = self.decided | pointer
        return Notes(user=self.user, system=system, reports=self.reports, epochs=self.epochs)
