"""Cells of a stored study, ended with the files that a worker would keep."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy
from safetensors.numpy import save

from mnist_tune.contract.claim import Claim
from mnist_tune.files.checkpoints import CheckpointFolder, checkpoint_key
from mnist_tune.files.checkpoints import save as save_checkpoint
from mnist_tune.storage.artifacts import ArtifactFolder, upload
from mnist_tune.storage.keys import CHECKPOINT, ENVIRONMENT, UID
from tests.support.made_studies.epochs import made_epoch
from tests.support.stored_epochs import numbers
from tests.support.studies import new_study

ARTIFACTS, CHECKPOINTS = "studies.db.artifacts", "studies.db.checkpoints"


class CellsByHand:
    """Works on cells of a new study through the queue, without a worker."""

    def __init__(self, folder: Path, text: str) -> None:
        self.study = new_study(folder, text)
        self.queue = self.study.queue()
        uid = self.study.storage.get_study_user_attrs(self.study.study_id)[UID]
        self.checkpoints = CheckpointFolder(folder / CHECKPOINTS / uid)
        self.artifacts = ArtifactFolder(folder / ARTIFACTS)

    def claim(self) -> Claim:
        claim = self.queue.claim("host:1")
        assert claim is not None
        return claim

    def train(self, claim: Claim, epochs: int) -> None:
        """Store so many epochs, and a checkpoint after the last."""
        reports = {number: 90.0 + number for number in range(1, epochs + 1)}
        history = [made_epoch(number, accuracy) for number, accuracy in reports.items()]
        checkpoint = save_checkpoint(
            self.checkpoints, checkpoint_key(claim.trial_id, claim.token, epochs), epochs, b"weights"
        )
        self.queue.record(
            claim,
            user={ENVIRONMENT: {"device": "cpu"}},
            system={CHECKPOINT: asdict(checkpoint)},
            reports=reports,
            epochs=numbers(history),
        )

    def complete(self, claim: Claim) -> None:
        """Run the cell to its end, as the real job does."""
        self.train(claim, 2)
        model = save({"weights": numpy.zeros((10, 10), dtype="float32")})
        files = {"model.safetensors": model, "log.txt": b"complete\n"}
        self.queue.complete(claim, 92.0, system=upload(self.artifacts, claim.token, files))
