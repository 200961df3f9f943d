"""How certain an accuracy is: 95 % intervals, and in words what they cover."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Reading:
    """An accuracy in percent with its interval."""

    value: float
    low: float
    high: float
    n_seeds: int
    deviation: float | None
    """The standard deviation between seeds; None for a single seed."""
    covers: str
    """What the interval covers, and what it does not."""
    next_run: tuple[float, float] | None = None
    """The interval for one more run with another seed: Student's prediction interval."""


def read(accuracies: Sequence[float], n_images: int) -> Reading:
    """The reading of one configuration: one accuracy a seed, all measured on the same `n_images` images."""
    if len(accuracies) == 1:
        low, high = of_images(accuracies[0], n_images)
        covers = (
            f"the luck of the {n_images:,} images (Wilson's interval of one run), not the luck of the seed: "
            "another seed may fall outside"
        )
        return Reading(accuracies[0], low, high, 1, None, covers)
    mean, deviation = statistics.fmean(accuracies), statistics.stdev(accuracies)
    n = len(accuracies)
    # Accuracies move in steps of one image: equal ones on a few seeds are luck, not certainty.
    spread = max(deviation, 100 / n_images)
    low, high = _around(mean, spread * math.sqrt(1 / n), n)
    next_run = _around(mean, spread * math.sqrt(1 + 1 / n), n)
    covers = (
        f"the luck of the seed (Student's t over {n} seeds), not the luck of the "
        f"{n_images:,} images, which are the same for every seed"
    )
    return Reading(mean, low, high, n, deviation, covers, next_run)


def of_images(accuracy: float, n_images: int) -> tuple[float, float]:
    """Wilson's interval, in percent, of an accuracy that was measured on `n_images` images."""
    from scipy.stats import binomtest

    correct = min(max(round(accuracy / 100 * n_images), 0), n_images)
    interval = binomtest(correct, n_images).proportion_ci(CONFIDENCE, method="wilson")
    return 100 * float(interval.low), 100 * float(interval.high)


def _around(mean: float, error: float, n: int) -> tuple[float, float]:
    """Student's interval from `n` seeds."""
    from scipy.special import stdtrit

    half = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * error
    return max(mean - half, 0.0), min(mean + half, 100.0)
