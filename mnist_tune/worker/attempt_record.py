"""Stores the results of an attempt at once or, while the storage is away, later."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from mnist_tune.contract.claim import Claim
from mnist_tune.contract.lease import Lease
from mnist_tune.contract.retrying import StorageRetry
from mnist_tune.contract.study import StorageAway, StudyForWorkers
from mnist_tune.files.checkpoints import Checkpoint
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.storage.keys import LOG, NOT_KEPT, STATE, WEIGHTS
from mnist_tune.storage.notes import Notes
from mnist_tune.text.wording import last_lines
from mnist_tune.worker.attempt_log import AttemptLog
from mnist_tune.worker.background_call import BackgroundCall
from mnist_tune.worker.unstored import Unstored

LOG_FILE = "log.txt"
STORED_SOON = 1 / 6
"""For how much of the grace period the heartbeat waits for what it has stored."""
LOOK_SECONDS = 0.1
"""How often the lease is looked at while a state is sent."""
STORING = "storing"
"""The name of a thread that stores."""
MAX_LOG_LENGTH = 32_000
"""The most bytes of a log that is stored as an attribute: it must stay under 64 KB."""


class AttemptRecord:
    """The numbers, notes, log lines and files of an attempt.

    The heartbeat's thread calls `store_if_free`, and any may call `printed`; all other methods belong to the
    thread that runs the trial.
    """

    def __init__(
        self,
        study: StudyForWorkers,
        claim: Claim,
        lease: Lease,
        log: Callable[[str], None],
    ) -> None:
        self.claim = claim
        self.lease = lease
        self.last_epoch: EpochMetrics | None = None
        """The last epoch that was completed."""
        self.values: list[float] = []
        """The objective's values after all epochs of the trial."""
        self.not_kept: dict[str, str] = {}
        """Why its weights, or the state for a next attempt, could not be written, by kind of file."""
        self._remarks = 0
        """How often it was noted what could not be written: a late call must not bring an older note back."""
        self._study = study
        self._objective = study.spec.description.objective
        self._log = log
        self._lock = threading.Lock()
        self._sending = threading.RLock()
        """Held while a state is sent and all else is stored, which must wait for it."""
        self._unstored = Unstored()
        self._stored_checkpoint = claim.checkpoint
        self._kept: Checkpoint | None = None
        """The state that was kept last, to which the trial may point already."""
        self._overtaken: list[Checkpoint] = []
        """States for which a newer one came before it was known that the study points to them."""
        self._lines = AttemptLog()

    def say(self, line: str) -> None:
        """Write a line to the worker's log and to the trial's own log."""
        self._lines.say(line)
        self._log(f"trial {self.claim.number}: {line}")

    def printed(self, content: bytes) -> None:
        """Write what the job has printed to the trial's own log alone."""
        self._lines.printed(content)

    def note(self, key: str, value: Any) -> None:
        """Set an attribute of the trial; `store` stores it."""
        with self._lock:
            self._unstored.user[key] = value

    def note_unsaved(self, kind: str, reason: str | None) -> None:
        """Note why a file could not be kept, or (None) that it could in the end; `store` stores it."""
        self.not_kept = {key: why for key, why in self.not_kept.items() if key != kind}
        if reason is not None:
            self.not_kept[kind] = reason
        self._remarks += 1
        with self._lock:
            self._unstored.user[NOT_KEPT] = self.not_kept
            self._unstored.remark = self._remarks

    def note_decision(self, system: dict[str, Any]) -> None:
        """Note the attributes that the pruner wants kept with the trial; `store` stores them."""
        with self._lock:
            self._unstored.decided |= system

    def add(self, epochs: list[EpochMetrics], checkpoint: Checkpoint | None = None) -> None:
        """Note epochs, and the pointer to the state after the last if it was saved; `store` stores them."""
        with self._lock:
            for metrics in epochs:
                self.last_epoch = metrics
                self._unstored.epochs[metrics.epoch] = dict(metrics.numbers)
                if (value := metrics[self._objective]) is not None:
                    self._unstored.reports[metrics.epoch] = value
                    self.values.append(value)
            if checkpoint is not None:
                if self._unstored.checkpoint is not None:
                    self._overtaken.append(self._unstored.checkpoint)
                self._unstored.checkpoint = checkpoint

    def store(self) -> None:
        """Store everything that is not stored yet, which renews the lease. Raises LeaseLost."""
        with self._sending:
            if self._has_news():  # else the study would not be asked, and nothing be renewed
                self.lease.renew(self._store)

    def store_if_free(self) -> None:
        """Have a thread call `store`, unless another is doing so: a state may take longer than a lease lasts.

        It is waited for only so long that the heartbeat goes on. Raises as `store` if that has ended by then.
        """
        BackgroundCall(self._store_if_free, STORING).wait(STORED_SOON * self.lease.grace_period)

    def store_now(self) -> bool:
        """Call `store`; returns False if the storage is away. Raises LeaseLost."""
        try:
            if self._unstored.checkpoint is None:
                self.store()
            else:  # the training goes on meanwhile, which must end with the lease
                storing = BackgroundCall(self.store, STORING)
                while not storing.wait(LOOK_SECONDS):
                    self.lease.check()
            return True
        except StorageAway:
            self.say("the storage does not answer; training goes on, and this is stored later")
            return False

    def finish(
        self,
        end: Callable[[Claim, float, Notes], None],
        value: float,
        ask: StorageRetry,
        files: dict[str, bytes],
        decided: dict[str, Any],
        last: Checkpoint | None = None,
    ) -> None:
        """Store all that is left, and `decided`, together with the trial's end. Raises LeaseLost.

        The trial's states are deleted, all but `last`.
        """
        kept = self.upload(files, ask) | decided

        def write() -> None:
            notes = self._unstored.notes(self._unstored.checkpoint)
            notes["system"] = {**notes["system"], **kept}
            end(self.claim, value, notes)

        with self._sending, self._lock:  # a state that is on its way would arrive after it was deleted
            self.lease.renew(lambda: ask(write))
            old = [self._stored_checkpoint, *self._overtaken, self._unstored.checkpoint]
            self._unstored = Unstored()  # a heartbeat that comes now has nothing to store
        self.delete(*(state for state in old if state != last))

    def last_state(self, ask: StorageRetry) -> Checkpoint | None:
        """The state after the last epoch, once it is kept; None if there is none. Raises LeaseLost."""
        ask(self.store)
        state, last = self._stored_checkpoint, self.last_epoch
        return state if state is not None and last is not None and state.epoch == last.epoch else None

    def upload(self, files: dict[str, bytes], ask: StorageRetry) -> dict[str, str]:
        """Write the final files; returns the attributes that point to them, and the log as an attribute."""
        pointers, problem = self._write(files, ask)
        if problem:
            self.say(f"its weights could not be kept as an artifact: {problem}")
            self.note_unsaved(WEIGHTS, problem)
        whole = "".join(f"{line}\n" for line in self._lines.lines())
        of_the_log, problem = self._write({LOG_FILE: whole.encode()}, ask)
        if problem:
            self.say(f"its log could not be kept as an artifact: {problem}")
        end = last_lines(self._lines.lines(MAX_LOG_LENGTH // 2), MAX_LOG_LENGTH)
        return pointers | of_the_log | {LOG: end}

    def delete(self, *checkpoints: Checkpoint | None) -> None:
        """Delete states to which nothing points any more; None is skipped."""
        for checkpoint in filter(None, checkpoints):
            with suppress(OSError, StorageAway):  # a later sweep deletes it
                self._study.delete_state(checkpoint)

    def _store_if_free(self) -> None:
        if self._sending.acquire(blocking=False):
            try:
                self.store()
            finally:
                self._sending.release()

    def _has_news(self) -> bool:
        with self._lock:
            record = self._unstored
            return bool(record.user or record.epochs or record.decided or record.checkpoint)

    def _store(self) -> None:
        kept = self._keep_state()
        with self._lock:
            record = self._unstored
            self._study.record(self.claim, record.notes(kept))
            newer = record.checkpoint if record.checkpoint != kept else None  # added while this one was kept
            self._unstored = Unstored(checkpoint=newer)
            if kept is None:
                return
            # Nothing points to these now.
            old = [self._stored_checkpoint, *(each for each in self._overtaken if each != kept)]
            self._stored_checkpoint, self._overtaken = kept, []
        self.delete(*old)

    def _keep_state(self) -> Checkpoint | None:
        """Have the newest state kept, before anything points to it; returns it."""
        with self._lock:
            checkpoint = self._unstored.checkpoint
        if checkpoint is None or checkpoint == self._kept:  # only the answer about the pointer was lost
            return checkpoint
        try:
            self._study.keep_state(self.claim, checkpoint)
            self._kept = checkpoint
        except OSError as error:
            reason = error.strerror or str(error)
            with self._lock:
                if self._unstored.checkpoint == checkpoint:
                    self._unstored.checkpoint = None
            self.delete(checkpoint)
            self.say(f"no checkpoint was kept: {reason}")
            self.note_unsaved(STATE, reason)
            return None
        return checkpoint

    def _write(self, files: dict[str, bytes], ask: StorageRetry) -> tuple[dict[str, str], str | None]:
        try:
            return ask(lambda: self._study.keep_files(self.claim, files)), None
        except OSError as error:
            return {}, error.strerror or str(error)
