"""Attempts of made-up accuracies, as they are ranked."""

from __future__ import annotations

from typing import Any

from mnist_tune.results.ranking import Place, rank
from mnist_tune.results.trial_result import State, TrialResult
from mnist_tune.spec.study_spec import Spec

IMAGES = 10_000


def completed_attempt(number: int, value: float, **parameters: Any) -> TrialResult:
    """A completed attempt."""
    return TrialResult(
        number,
        number,
        1,
        State.COMPLETE,
        parameters,
        value,
        [],
        None,
        {},
        None,
        None,
        None,
        None,
        stale=False,
    )


def ranked_by_accuracies(accuracies: dict[int, list[float]], n_seeds: int = 1) -> list[Place]:
    """Configurations that differ in the batch size, each with its accuracies by seed 0, 1, ..."""
    numbers = iter(range(1_000))
    attempts = [
        completed_attempt(next(numbers), value, batch_size=size, seed=seed)
        for size, values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    return rank(attempts, 0, IMAGES, n_seeds)


def grid_spec(**grid: list[Any]) -> Spec:
    return Spec.model_validate({"study": {"name": "study"}, "search": {"grid": grid}})


# 128 has the luckiest seed of all, 64 the better mean.
LUCKY = {64: [98.70, 98.80, 98.75], 128: [98.95, 98.55, 98.60], 256: [95.10, 95.00, 95.20]}
