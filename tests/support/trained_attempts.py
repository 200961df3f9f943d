"""Attempts at the cells of a study, trained in a process, without a worker's loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mnist_tune.contract.lease import Lease
from mnist_tune.contract.retrying import StorageRetry
from mnist_tune.contract.study import Decision
from mnist_tune.failures import AttemptFailed
from mnist_tune.files.checkpoints import Checkpoint, CheckpointFolder
from mnist_tune.files.locations import Folder, Folders
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.worker.attempt import Attempt
from mnist_tune.worker.child import TrainingProcess
from mnist_tune.worker.messages import SetUp
from mnist_tune.worker.runner import Objective
from mnist_tune.worker.signals import StopRequest
from tests.support.attempts_by_hand import JudgedStudy
from tests.support.specs import TINY_SPEC
from tests.support.studies import new_study

FIVE_EPOCHS = TINY_SPEC.replace("epochs = 2", "epochs = 5") + "\n[limits]\ncheckpoint_interval = 0\n"


def start_training_process(folder: Path) -> TrainingProcess:
    process = TrainingProcess(SetUp("cpu", None, None, {"train_size": 200, "validation_size": 100}, folder))
    process.start()
    process.wait_until_ready(lambda: None)
    return process


class StudyWithStates(JudgedStudy):
    """A study whose states lie in a folder that the training process knows already."""

    def delete_state(self, checkpoint: Checkpoint) -> None:
        CheckpointFolder(self._folders.checkpoints.path).delete(checkpoint.key)


@dataclass
class TrainedAttempts:
    """One attempt after another at the cells of a study, without a worker's loop."""

    study: OpenStudy
    process: TrainingProcess
    states: CheckpointFolder
    artifacts: Folder

    def __post_init__(self) -> None:
        self.queue = self.study.queue()
        self.stop = StopRequest()
        self.lines: list[str] = []
        self.ask = StorageRetry(1.0, self.lines.append, lambda: False)

    def attempt(
        self, log: Callable[[str], None] | None = None, decide: Callable[[int], Decision] | None = None
    ) -> Attempt:
        claim = self.queue.claim("bench")
        assert claim is not None
        places = Folders(Folder(self.states.path), self.artifacts)
        direct = StudyWithStates(self.study, places, decide)
        attempt = Attempt(direct, claim, Lease(60.0), self.stop, log or self.lines.append)
        attempt.trial.parameters = claim.parameters
        return attempt

    def run(self, attempt: Attempt) -> float:
        return Objective(self.study.spec, self.process)(attempt.trial)

    def give_back(self, attempt: Attempt, failed: AttemptFailed) -> None:
        attempt.give_back(failed.failure, self.ask)


def attempts_in(folder: Path, process: TrainingProcess, states: Path, text: str) -> TrainedAttempts:
    return TrainedAttempts(
        new_study(folder, text), process, CheckpointFolder(states), Folder(folder / "artifacts")
    )


AttemptsOf = Callable[[str], TrainedAttempts]
