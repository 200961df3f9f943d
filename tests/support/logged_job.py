"""A toy job that leaves evidence: its values show a state wrongly resumed, its log who wrote what when.

The log is one `write` a line, so that what its writer did is there whatever kills it; its times are of the
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
from mnist_tune.storage.guarded import STORAGE_ERRORS, GuardedStorage
from mnist_tune.storage.schema import prepare
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.worker.trial import Trial
from tests.support.made_studies.epochs import made_epoch

STATE_FILE = "state.json"
InEpoch = Callable[[Trial], object]
"""What is done in each epoch, before its state is saved."""


@dataclass(frozen=True)
class Step:
    """A line of the log. `what`: begin, restart, epoch, end, or what became of a write: accepted, away."""

    what: str
    trial: int
    token: str
    asked: int
    done: int
    epoch: int = 0


class StepLog:
    """What this process does, whichever that is: forked, it goes on in a file of its own."""

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
    """What all processes did."""
    return [
        Step(**json.loads(line)) for path in folder.iterdir() for line in path.read_text("utf-8").splitlines()
    ]


class LoggedStorage(GuardedStorage):
    """Notes what became of each write of an attempt, and tells of errors on a connection that lasts."""

    def __init__(self, url: URL, steps: StepLog) -> None:
        prepare(url, create=False)
        super().__init__(url)
        self._steps = steps
        sqlalchemy.event.listen(self.engine, "handle_error", _tell)

    @contextmanager
    def guarded(self, trial_id: int) -> Iterator[orm.Session]:
        asked = time.monotonic_ns()
        token = self.claims[trial_id]
        try:
            with super().guarded(trial_id) as session:
                yield session
        except STORAGE_ERRORS:
            self._steps.note("away", trial_id, token, asked=asked)
            raise
        self._steps.note("accepted", trial_id, token, asked=asked)


class Job:
    """Epochs of which each follows from the one before; after each a checkpoint, from which it goes on."""

    def __init__(self, study: OpenStudy, folder: Path, steps: StepLog, in_epoch: InEpoch) -> None:
        self._epochs = study.spec.training.epochs
        self._states = CheckpointFolder(folder / "checkpoints" / study.uid)
        self._steps = steps
        self._in_epoch = in_epoch

    def __call__(self, trial: Trial) -> float:
        claim, cell = trial.claim, trial.parameters["seed"]
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
    """A cell's accuracies after one epoch more."""
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
    # A server ends the transaction of a client that has stalled, and a busy one may be slow to greet.
    if context.connection is not None and not context.is_disconnect:
        print(f"{type(context.original_exception).__name__}: {context.original_exception}", file=sys.stderr)
