"""Computes how sure it is that one configuration is better than another."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from mnist_tune.results.candidates import Candidate

LEVEL = 0.05
"""The chance that the truly best configuration is not in the tied set, with two or more seeds."""


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number: the smallest times n, the next times n - 1, and so on."""
    corrected = [0.0] * len(p_values)
    least = 0.0
    for done, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, (len(p_values) - done) * p_values[index]))
        corrected[index] = least
    return corrected


def p_value(best: Candidate, other: Candidate, validation_size: int) -> float:
    """The probability that `best` is so far ahead of `other` on common seeds if it is no better.

    It is not corrected for other comparisons. The two must have a seed in common.
    """
    shared = sorted(best.attempts.keys() & other.attempts.keys())
    differences = [best.accuracies[seed] - other.accuracies[seed] for seed in shared]
    if len(shared) == 1:
        noise = binomial_noise(best.accuracies[shared[0]], validation_size) * math.sqrt(2)
        return statistics.NormalDist().cdf(-differences[0] / noise)
    from scipy.special import stdtr  # scipy.stats takes four times as long to import

    # Accuracies move in steps of one image: equal differences on a few seeds are luck, not certainty.
    deviation = max(statistics.stdev(differences), 100 / validation_size)
    t = statistics.fmean(differences) / (deviation / math.sqrt(len(shared)))
    return float(stdtr(len(shared) - 1, -t))


def binomial_noise(accuracy: float, n_images: int) -> float:
    """The standard deviation, in points, of an accuracy in percent that was measured on `n_images` images.

    Two right and two wrong answers are added, so that 100 % is not certain (Agresti and Coull, 1998).
    """
    share = (accuracy / 100 * n_images + 2) / (n_images + 4)
    return 100 * math.sqrt(share * (1 - share) / (n_images + 4))


def noise_margin(best: Candidate, n_tied: int, validation_size: int) -> float:
    """The difference, in points, below which one seed cannot tell `n_tied` candidates from the best."""
    z = -statistics.NormalDist().inv_cdf(LEVEL / max(n_tied, 1))
    return z * math.sqrt(2) * binomial_noise(best.mean, validation_size)
