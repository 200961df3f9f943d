"""A toy job that leaves evidence: its values reveal a wrongly resumed state, its log who wrote what when.

Each line of the log is one `write`, so that nothing is lost when its writer is killed. Its times are of the
host's monotonic clock, never of the storage.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import sqlalchemy
from sqlalchemy import orm
from sqlalchemy.engine import URL, ExceptionContext

from mnist_tune.failures import AttemptFailed, Failure
from mnist_tune.files.checkpoints import CheckpointFolder, CheckpointUnusable, checkpoint_key, load, save
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.guarded import STORAGE_ERRORS, GuardedStorage
from mnist_tune.storage.schema import prepare
from mnist_tune.worker.trial import Trial
from tests.support.made_studies.epochs import made_epoch

STATE_FILE = "state.json"
InEpoch = Callable[[Trial], object]
"""Called in each epoch, before its state is saved."""


@dataclass(frozen=True)
class Step:
    """A line of the log.

    `what` is begin, restart, epoch or end, or the result of a write: accepted or away.
    """

    what: str
    trial: int
    token: str
    asked: int
    done: int
    epoch: int = 0


class StepLog:
    """The log of this process; after a fork the child goes on in a file of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._writer, self._file = 0, -1

    def note(self, what: str, trial: int, token: str, epoch: int = 0, asked: int = 0) -> None:
        now = time.monotonic_ns()
        if self._writer != os.getpid():
            self._writer = os.getpid()
            path = self._folder / f"{self._writer}.log"
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        step = Step(what, trial, token, asked or now, now, epoch)
        os.write(self._file, f"{json.dumps(asdict(step))}\n".encode())


def read_steps(folder: Path) -> list[Step]:
    """The steps of all processes."""
    return [
        Step(**json.loads(line)) for path in folder.iterdir() for line in path.read_text("utf-8").splitlines()
    ]


class LoggedStorage(GuardedStorage):
    """Logs the result of each write of an attempt, and prints errors on connections that last."""

    def __init__(self, url: URL, steps: StepLog) -> None:
        prepare(url, create=False)
        super().__init__(url)
        self._steps = steps
        sqlalchemy.event.listen(self.engine, "handle_error", _tell)

    @contextmanager
    def guarded(self, trial_id: int, token: str | None = None) -> Iterator[orm.Session]:
        asked = time.monotonic_ns()
        token = token or self.claims[trial_id]
        try:
            with super().guarded(trial_id, token) as session:
                yield session
        except STORAGE_ERRORS:
            self._steps.note("away", trial_id, token, asked=asked)
            raise
        self._steps.note("accepted", trial_id, token, asked=asked)


class Job:
    """Epochs that each depend on the one before, with a checkpoint after each to go on from."""

    def __init__(self, spec: Spec, states: Path, steps: StepLog, in_epoch: InEpoch) -> None:
        self._spec = spec
        self._states = CheckpointFolder(states)
        self._steps = steps
        self._in_epoch = in_epoch

    def __call__(self, trial: Trial) -> float:
        claim, cell = trial.claim, trial.parameters["seed"]
        self._epochs = claim.epochs or self._spec.training.epochs
        pointed = claim.checkpoint.epoch if claim.checkpoint else 0
        self._steps.note("begin", claim.trial_id, claim.token, pointed)
        accuracies = self._resume(trial, cell)
        while len(accuracies) < self._epochs:
            trial.check()
            number = len(accuracies) + 1
            self._steps.note("epoch", claim.trial_id, claim.token, number)
            self._in_epoch(trial)
            accuracies = trained(cell, accuracies)
            name = checkpoint_key(claim.trial_id, claim.token, number)
            checkpoint = save(self._states, name, number, _state(cell, accuracies))
            trial.epoch_done(made_epoch(number, accuracies[-1]), checkpoint, last=number == self._epochs)
            if trial.is_to_drain and number < self._epochs:
                raise AttemptFailed(Failure("preempted", trial.stop_reason))
        trial.keep_file(STATE_FILE, _state(cell, accuracies))
        self._steps.note("end", claim.trial_id, claim.token, self._epochs)
        return accuracies[-1]

    def _resume(self, trial: Trial, cell: int) -> list[float]:
        claim = trial.claim
        if claim.checkpoint is None:
            return []
        try:
            stored, accuracies = json.loads(load(self._states, claim.checkpoint))
        except CheckpointUnusable as unusable:
            trial.resumed([], {"epoch": 0, "problem": str(unusable)})
            self._steps.note("restart", claim.trial_id, claim.token)
            return []
        assert (stored, len(accuracies)) == (cell, claim.checkpoint.epoch)
        history = [made_epoch(number, accuracy) for number, accuracy in enumerate(accuracies, start=1)]
        note = {"epoch": len(accuracies), "checkpoint": claim.checkpoint.key}
        trial.resumed(history, note, last=len(accuracies) == self._epochs)
        return list(accuracies)


def trained(cell: int, accuracies: list[float]) -> list[float]:
    """A cell's accuracies after one more epoch."""
    digest = hashlib.sha256(_state(cell, accuracies)).digest()
    return [*accuracies, int.from_bytes(digest[:4], "big") / 2**32 * 100]


def expected(cell: int, epochs: int) -> float:
    """The value of a cell whose every epoch followed the one before."""
    accuracies: list[float] = []
    for _ in range(epochs):
        accuracies = trained(cell, accuracies)
    return accuracies[-1]


def _state(cell: int, accuracies: list[float]) -> bytes:
    return json.dumps([cell, accuracies]).encode()


def _tell(context: ExceptionContext) -> None:
    # A server ends the transactions of stalled clients, and a busy one may be slow to accept connections.
    if context.connection is not None and not context.is_disconnect:
        print(f"{type(context.original_exception).__name__}: {context.original_exception}", file=sys.stderr)
