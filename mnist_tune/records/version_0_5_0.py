"""What version 0.5.0 stored in another form: the epochs of its one job."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EpochOf050:
    """An epoch of the MNIST job, in a trial's attribute `history`."""

    epoch: int
    training_loss: float | None
    validation_loss: float | None
    validation_accuracy: float | None
    images_per_second: float | None
    seconds: float | None
