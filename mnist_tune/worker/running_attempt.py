"""One attempt in the training process: where its states are, and what its worker is told."""

from __future__ import annotations

import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Protocol

from mnist_tune.files.checkpoints import (
    Checkpoint,
    CheckpointFolder,
    CheckpointUnusable,
    checkpoint_key,
    load,
    save,
)
from mnist_tune.hardware.devices import Runtime
from mnist_tune.jobs.description import Source
from mnist_tune.jobs.evaluation import Evaluation
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.storage.keys import MOST_BYTES
from mnist_tune.worker.messages import Began, EpochDone, Measured, Run, Said, SetUp, StateSaved, send
from mnist_tune.worker.provenance import environment


class Orders(Protocol):
    """What the worker wants of the attempt."""

    @property
    def drain(self) -> bool:
        """Whether the attempt is to end after its epoch, with its state saved."""

    def check(self) -> None:
        """Raise Abandoned if the worker has given the trial up."""


class RunningAttempt:
    """An attempt as the host of its job sees it: see `jobs.host.Worker`."""

    def __init__(
        self, run: Run, setup: SetUp, connection: Connection, orders: Orders, runtime: Runtime, source: Source
    ) -> None:
        self.epoch = 0
        """The last epoch that was done."""
        self._run = run
        self._connection = connection
        self._orders = orders
        self._runtime = runtime
        self._source = source
        self._store = CheckpointFolder(setup.checkpoints)
        self._saved = time.monotonic()
        self._number = 0
        """The number in the name of the last state that was saved."""

    def saved_state(self) -> tuple[bytes | None, str | None]:
        """The state that an earlier attempt has saved; or why there is none although there should be one."""
        if self._run.checkpoint is None:
            return None, None
        try:
            return load(self._store, self._run.checkpoint), None
        except CheckpointUnusable as unusable:
            return None, str(unusable)

    def began(self, facts: dict[str, Any], history: list[EpochMetrics], problem: str | None) -> None:
        self.epoch = len(history)
        self._tell(Began(environment(self._runtime, self._source) | facts, history, problem))

    def epoch_done(
        self, metrics: EpochMetrics, state: Callable[[], bytes | None] | None, *, is_last: bool
    ) -> bool:
        self.epoch = metrics.epoch
        drains = self._orders.drain and not is_last
        is_kept = is_last and self._run.keep_last
        is_due = drains or is_kept or time.monotonic() - self._saved >= self._run.checkpoint_interval
        if state is None or not is_due:
            self._tell(EpochDone(metrics))
            return drains
        try:
            content = state()
            if content is None:
                self._tell(EpochDone(metrics))
                return False
            self._saved = time.monotonic()
            self._tell(EpochDone(metrics, self._save(metrics.epoch, content)))
        except OSError as error:
            self._saved = time.monotonic()
            self._tell(EpochDone(metrics, problem=error.strerror or str(error)))
        return drains

    def save_state(self, epoch: int, state: Callable[[], bytes | None]) -> None:
        """Keep a state that was made after `epoch` epochs, or within the one that follows."""
        try:
            if (content := state()) is not None:
                self._tell(StateSaved(self._save(epoch, content)))
        except OSError as error:  # the state before it is still there
            self.say(f"no checkpoint was saved: {error.strerror or error}")

    def measured(self, evaluation: Evaluation) -> None:
        """Tell what the model has reached on test data."""
        self._tell(Measured(evaluation.without_pictures(MOST_BYTES)))

    @property
    def is_to_drain(self) -> bool:
        return self._orders.drain

    def check(self) -> None:
        self._orders.check()

    def say(self, line: str) -> None:
        self._tell(Said(line))

    def _tell(self, message: Any) -> None:
        send(self._connection, message)

    def _save(self, epoch: int, content: bytes) -> Checkpoint:
        # The state before is the trial's until the pointer to this one is stored: it needs another name.
        self._number = epoch if epoch > self._number else self._number + 1
        name = checkpoint_key(self._run.trial_id, self._run.token, self._number)
        return save(self._store, name, epoch, content)
