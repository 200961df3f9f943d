"""Epochs that nobody trained."""

from __future__ import annotations

from collections.abc import Sequence

from mnist_tune.jobs.metrics import EpochMetrics
from tests.support.stored_epochs import Numbers, numbers

EPOCH_SECONDS = 20.0
"""That an epoch takes in results that are made up. One that is stored takes next to no time."""


def made_epoch(
    number: int, accuracy: float, seconds: float = 0.1, images_per_second: float = 1_234.5
) -> EpochMetrics:
    """The metrics of an epoch; its losses tell it from the epochs before and after."""
    return EpochMetrics(number, 2.0 / number, 1.5 / number, accuracy, images_per_second, seconds)


def made_epochs(accuracies: Sequence[float]) -> Numbers:
    """Epochs that reached these accuracies, as a worker stores them: ten images each, at 1,000 a second."""
    return numbers(
        [
            made_epoch(number, accuracy, seconds=0.01, images_per_second=1_000.0)
            for number, accuracy in enumerate(accuracies, start=1)
        ]
    )
