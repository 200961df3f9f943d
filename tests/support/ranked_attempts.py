"""Rankings of attempts with made-up accuracies."""

from __future__ import annotations

from mnist_tune.results.ranking import Place, rank
from mnist_tune.results.significance import Measure
from tests.support.made_studies.results import completed_attempt

IMAGES = 10_000
MEASURE = Measure(n_cases=IMAGES)


def ranked_by_accuracies(accuracies: dict[int, list[float]], n_seeds: int = 1) -> list[Place]:
    """Rank configurations that differ in the batch size; each has its accuracies by seed 0, 1, ..."""
    numbers = iter(range(1_000))
    attempts = [
        completed_attempt(next(numbers), value, batch_size=size, seed=seed)
        for size, values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    return rank(attempts, 0, MEASURE, n_seeds)


# 128 has the luckiest seed of all, but 64 the better mean.
LUCKY = {64: [98.70, 98.80, 98.75], 128: [98.95, 98.55, 98.60], 256: [95.10, 95.00, 95.20]}
