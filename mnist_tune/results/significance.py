"""Computes how sure it is that one configuration is better than another."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from mnist_tune.jobs.description import Normal
from mnist_tune.results.candidates import Candidate
from mnist_tune.spec.study_spec import Spec

LEVEL = 0.05
"""The chance that the truly best configuration is not in the tied set, with two or more seeds."""


@dataclass(frozen=True)
class Measure:
    """Which values of the objective are better, and how uncertain one measurement of it is."""

    sign: int = 1
    """1 if larger values are better, else -1."""
    n_cases: int | None = None
    """How many cases the objective is a percentage of, if it is one."""
    known_deviation: float | None = None
    """The standard deviation of one measurement, if the job says so."""

    @property
    def step(self) -> float:
        """The least difference that two measurements can have; 0 if there is none."""
        return 100 / self.n_cases if self.n_cases else 0.0

    def deviation(self, value: float) -> float | None:
        """The standard deviation of one measurement of this value; None if nothing is known of it."""
        return binomial_noise(value, self.n_cases) if self.n_cases else self.known_deviation


def measure_of(spec: Spec) -> Measure:
    """How the objective of a study's job is measured."""
    noise = spec.description.noise
    known = noise.deviation if isinstance(noise, Normal) else None
    return Measure(spec.description.sign, spec.n_cases, known)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number: the smallest times n, the next times n - 1, and so on."""
    corrected = [0.0] * len(p_values)
    least = 0.0
    for done, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, (len(p_values) - done) * p_values[index]))
        corrected[index] = least
    return corrected


def p_value(best: Candidate, other: Candidate, measure: Measure) -> float | None:
    """The probability that `best` is so far ahead of `other` on common seeds if it is no better.

    It is not corrected for other comparisons. The two must have a seed in common. None if they have one seed
    in common and nothing is known of the noise of one measurement.
    """
    shared = sorted(best.attempts.keys() & other.attempts.keys())
    differences = [measure.sign * (best.values[seed] - other.values[seed]) for seed in shared]
    if len(shared) == 1:
        noise = measure.deviation(best.values[shared[0]])
        if noise is None:
            return None
        return statistics.NormalDist().cdf(-differences[0] / (noise * math.sqrt(2)))
    from scipy.special import stdtr  # scipy.stats takes four times as long to import

    # Percentages move in steps of one case: equal differences on a few seeds are luck, not certainty.
    deviation = max(statistics.stdev(differences), measure.step)
    mean = statistics.fmean(differences)
    if deviation == 0:  # the seed changes nothing
        return 0.0 if mean > 0 else 0.5
    t = mean / (deviation / math.sqrt(len(shared)))
    return float(stdtr(len(shared) - 1, -t))


def binomial_noise(percentage: float, n_cases: int) -> float:
    """The standard deviation, in points, of a percentage that was measured on `n_cases` cases.

    Two right and two wrong answers are added, so that 100 % is not certain (Agresti and Coull, 1998).
    """
    share = (percentage / 100 * n_cases + 2) / (n_cases + 4)
    return 100 * math.sqrt(share * (1 - share) / (n_cases + 4))


def noise_margin(best: Candidate, n_tied: int, measure: Measure) -> float | None:
    """The difference below which one seed cannot tell `n_tied` candidates from the best; None if unknown."""
    noise = measure.deviation(best.mean)
    if noise is None:
        return None
    z = -statistics.NormalDist().inv_cdf(LEVEL / max(n_tied, 1))
    return z * math.sqrt(2) * noise
