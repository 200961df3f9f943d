"""Epochs that nobody trained."""

from __future__ import annotations

from collections.abc import Sequence

from mnist_tune.jobs.metrics import EpochMetrics
from tests.support.stored_epochs import Numbers, numbers

EPOCH_SECONDS = 20.0
"""The seconds of an epoch in made-up results; epochs that are stored take next to no time."""


def made_epoch(
    number: int, accuracy: float, seconds: float = 0.1, images_per_second: float = 1_234.5
) -> EpochMetrics:
    """The metrics of an epoch; its losses differ from those of other epochs."""
    return EpochMetrics(
        number,
        {
            "training_loss": 2.0 / number,
            "validation_loss": 1.5 / number,
            "validation_accuracy": accuracy,
            "images_per_second": images_per_second,
            "seconds": seconds,
        },
    )


def made_epochs(accuracies: Sequence[float]) -> Numbers:
    """Epochs with these accuracies, as a worker stores them: ten images each, at 1,000 images per second."""
    return numbers(
        [
            made_epoch(number, accuracy, seconds=0.01, images_per_second=1_000.0)
            for number, accuracy in enumerate(accuracies, start=1)
        ]
    )
