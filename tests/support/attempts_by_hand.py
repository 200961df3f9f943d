"""Attempts at the cells of a study, with a worker's files but without its loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import optuna

from mnist_tune.contract.claim import Claim
from mnist_tune.contract.lease import Lease
from mnist_tune.contract.retrying import StorageRetry
from mnist_tune.contract.study import Decision
from mnist_tune.files.checkpoints import Checkpoint, CheckpointFolder, checkpoint_key, save
from mnist_tune.files.locations import Folders
from mnist_tune.storage.artifacts import ArtifactFolder
from mnist_tune.study.direct import DirectStudy
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.worker.attempt import Attempt
from mnist_tune.worker.signals import StopRequest
from tests.support.studies import folders, take


def checkpoint_key_after(epoch_number: int) -> str:
    """A valid key for the state after an epoch."""
    return checkpoint_key(1, "0" * 32, epoch_number)


class JudgedStudy(DirectStudy):
    """A study with a pruner of the test's own, if there is one."""

    def __init__(
        self, study: OpenStudy, places: Folders, decide: Callable[[int], Decision] | None = None
    ) -> None:
        super().__init__(study, places)
        self._own = decide

    @property
    def prunes(self) -> bool:
        return self._own is not None

    def decide(self, claim: Claim) -> Decision:
        assert self._own is not None
        return self._own(claim.trial_id)


@dataclass
class AttemptsByHand:
    """A study, and a worker's folders beside it, for attempts without a worker's loop."""

    study: OpenStudy
    folder: Path
    lines: list[str] = field(default_factory=list)
    decide: Callable[[int], Decision] | None = None

    def __post_init__(self) -> None:
        self.queue = self.study.queue()
        self.direct = JudgedStudy(self.study, folders(self.folder), self.decide)
        self.checkpoints = CheckpointFolder(self.direct.state_folder)
        self.artifacts = ArtifactFolder(self.folder / "artifacts")
        self.ask = StorageRetry(60, self.lines.append, hurry=lambda: False)

    def attempt(self) -> Attempt:
        return Attempt(
            self.direct, take(self.queue), Lease(grace_period=60), StopRequest(), self.lines.append
        )

    def checkpoint(self, number: int) -> Checkpoint:
        return save(self.checkpoints, checkpoint_key_after(number), number, b"weights")

    def stored(self, attempt: Attempt) -> optuna.trial.FrozenTrial:
        return self.study.storage.get_trial(attempt.claim.trial_id)

    def files(self, attempt: Attempt) -> dict[str, bytes]:
        """The attempt's artifacts by file name, found as stock Optuna finds them."""
        metas = optuna.artifacts.get_all_artifact_meta(self.stored(attempt), storage=self.study.storage)
        return {meta.filename: self.artifacts.open_reader(meta.artifact_id).read() for meta in metas}
