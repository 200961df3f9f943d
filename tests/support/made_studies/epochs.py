"""Epochs that nobody trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mnist_tune.jobs.metrics import EpochMetrics


def made_history(accuracies: Sequence[float]) -> list[dict[str, Any]]:
    """Epochs that reached these accuracies, ten images each."""
    return [
        {
            "epoch": epoch,
            "training_loss": round(2.0 / epoch, 4),
            "validation_loss": round((100 - accuracy) / 40 + 0.01, 4),
            "validation_accuracy": accuracy,
            "images_per_second": 1_000.0,
            "seconds": 0.01,
        }
        for epoch, accuracy in enumerate(accuracies, start=1)
    ]


EPOCH_SECONDS = 20.0
"""That an epoch takes."""


def made_epoch(epoch: int, accuracy: float, seconds: float = EPOCH_SECONDS) -> EpochMetrics:
    """The metrics of an epoch."""
    return EpochMetrics(epoch, 2.0 / epoch, 1.5 / epoch, accuracy, 1_234.5, seconds)


def epoch(number: int, accuracy: float) -> EpochMetrics:
    """The metrics of an epoch that took no time."""
    return EpochMetrics(number, 0.5, 0.5, accuracy, 1_000.0, 0.1)
