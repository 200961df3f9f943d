"""Studies to verify, worked off by hand, and what `verify` finds in a folder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy
from safetensors.numpy import save

from mnist_tune.files.checkpoints import CheckpointFolder, checkpoint_key
from mnist_tune.files.checkpoints import save as save_checkpoint
from mnist_tune.queue.queue import Claim
from mnist_tune.storage.artifacts import ArtifactFolder, upload
from mnist_tune.storage.keys import CHECKPOINT, ENVIRONMENT, HISTORY, UID
from mnist_tune.verification import Verification, verify
from tests.support.specs import TINY_SPEC
from tests.support.studies import epoch, new_study, open_file

SAMPLED_SPEC = """
[study]
name = "tiny"

[search]
sampler = "random"
n_trials = 3

[search.space]
learning_rate = {low = 1e-5, high = 1e-2, log = true}
optimizer = ["Adam", "SGD"]

[training]
epochs = 2
"""
# Its running trial has no worker, and must not seem lost however long the tests take.
PATIENT_SPEC = TINY_SPEC + "\n[lease]\ngrace_period = 86400.0\n"
ARTIFACTS, CHECKPOINTS = "studies.db.artifacts", "studies.db.checkpoints"


class CellsByHand:
    """Works off cells of a new study by hand, through the queue."""

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
        """Store so many epochs and a checkpoint after the last."""
        reports = {number: 90.0 + number for number in range(1, epochs + 1)}
        history = [asdict(epoch(number, accuracy)) for number, accuracy in reports.items()]
        checkpoint = save_checkpoint(
            self.checkpoints, checkpoint_key(claim.trial_id, claim.token, epochs), epochs, b"weights"
        )
        self.queue.record(
            claim,
            user={ENVIRONMENT: {"device": "cpu"}, HISTORY: history},
            system={CHECKPOINT: asdict(checkpoint)},
            reports=reports,
        )

    def complete(self, claim: Claim) -> None:
        """Run the cell to its end, as the real job does."""
        self.train(claim, 2)
        model = save({"weights": numpy.zeros((10, 10), dtype="float32")})
        files = {"model.safetensors": model, "log.txt": b"complete\n"}
        self.queue.complete(claim, 92.0, system=upload(self.artifacts, claim.token, files))


def verify_folder(folder: Path) -> Verification:
    return verify(open_file(folder), "tiny", folder / ARTIFACTS, folder / CHECKPOINTS)


def findings_by_check(verification: Verification) -> dict[str, list[str]]:
    """What each check found, by its name; those that found nothing are left out."""
    return {
        outcome.check: [str(finding) for finding in outcome.findings]
        for outcome in verification.outcomes
        if outcome.findings
    }
