"""What an attempt has told and its study has not stored yet."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from mnist_tune.files.checkpoints import Checkpoint
from mnist_tune.storage.keys import CHECKPOINT, REMARK
from mnist_tune.storage.notes import Notes


@dataclass
class Unstored:
    """Everything about an attempt that is not stored yet."""

    user: dict[str, Any] = field(default_factory=dict)
    epochs: dict[int, dict[str, float | None]] = field(default_factory=dict)
    """Metrics by epoch, also of epochs that an earlier attempt has done: a trial has rows for all of them."""
    reports: dict[int, float] = field(default_factory=dict)
    decided: dict[str, Any] = field(default_factory=dict)
    """System attributes that the pruner wants kept with the trial."""
    remark: int | None = None
    checkpoint: Checkpoint | None = None

    def notes(self, checkpoint: Checkpoint | None) -> Notes:
        """All of it in the form that the queue takes, with the pointer to this state."""
        pointer = {} if checkpoint is None else {CHECKPOINT: asdict(checkpoint)}
        remark = {} if self.remark is None else {REMARK: self.remark}
        system = self.decided | pointer | remark
        return Notes(user=self.user, system=system, reports=self.reports, epochs=self.epochs)
