"""How certain a value of the objective is: 95 % intervals, and in words what they cover."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from mnist_tune.results.significance import Measure

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Reading:
    """A value with its interval."""

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


def read(values: Sequence[float], measure: Measure, cases: str) -> Reading | None:
    """The reading of one configuration: one value a seed, all measured on the same `cases`, such as images.

    None for one seed of which nothing is known.
    """
    if len(values) == 1:
        return _of_one(values[0], measure, cases)
    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    n = len(values)
    # Percentages move in steps of one case: equal ones on a few seeds are luck, not certainty.
    spread = max(deviation, measure.step)
    low, high = _around(mean, spread * math.sqrt(1 / n), n, measure)
    next_run = _around(mean, spread * math.sqrt(1 + 1 / n), n, measure)
    of_cases = f"{measure.n_cases:,} {cases}" if measure.n_cases else cases
    covers = (
        f"the luck of the seed (Student's t over {n} seeds), not the luck of the "
        f"{of_cases}, which are the same for every seed"
    )
    return Reading(mean, low, high, n, deviation, covers, next_run)


def _of_one(value: float, measure: Measure, cases: str) -> Reading | None:
    if measure.n_cases:
        low, high = of_cases(value, measure.n_cases)
        covers = (
            f"the luck of the {measure.n_cases:,} {cases} (Wilson's interval of one run), not the luck of "
            "the seed: another seed may fall outside"
        )
        return Reading(value, low, high, 1, None, covers)
    if measure.known_deviation is None:
        return None
    half = statistics.NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * measure.known_deviation
    return Reading(
        value, value - half, value + half, 1, None, "the noise of one run, as the job describes it"
    )


def of_cases(percentage: float, n_cases: int) -> tuple[float, float]:
    """Wilson's interval of a percentage that was measured on `n_cases` cases."""
    from scipy.stats import binomtest

    correct = min(max(round(percentage / 100 * n_cases), 0), n_cases)
    interval = binomtest(correct, n_cases).proportion_ci(CONFIDENCE, method="wilson")
    return 100 * float(interval.low), 100 * float(interval.high)


def _around(mean: float, error: float, n: int, measure: Measure) -> tuple[float, float]:
    """Student's interval from `n` seeds."""
    from scipy.special import stdtrit

    half = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * error
    low, high = mean - half, mean + half
    return (max(low, 0.0), min(high, 100.0)) if measure.n_cases else (low, high)
