"""What one epoch of training gives, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EpochMetrics:
    """One epoch, counted from 1. Losses: mean cross entropy; accuracy: percent; None without validation.

    `seconds` is wall-clock with validation included; `images_per_second` counts training images over it.
    """

    epoch: int
    training_loss: float
    validation_loss: float | None
    validation_accuracy: float | None
    images_per_second: float
    seconds: float

    def line(self, epochs: int) -> str:
        """The epoch in words, for a log."""
        parts = [f"epoch {self.epoch}/{epochs}: training loss {self.training_loss:.4f}"]
        if self.validation_loss is not None:
            parts.append(f"validation loss {self.validation_loss:.4f}")
            parts.append(f"validation accuracy {self.validation_accuracy:.2f} %")
        return ", ".join([*parts, f"{self.images_per_second:,.0f} images/s"])
