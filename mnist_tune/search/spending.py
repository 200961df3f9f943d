"""How strict each look of a repeated t-test must be, so that all looks together keep to one level.

Who looks after each seed, each time at the usual level, will be wrong in the end. So the level is spent in
equal parts: after each look the chance that any look so far was wrong is the level times the share of looks
that have been made (a spending function: Lan and DeMets, 1983). What one look may spend depends on what the
looks before it have seen of the same values. Where nothing is to be found, this can be computed exactly, one
look after the other (Armitage, McPherson and Rowe, 1969): for n values with the sum S and the sum of squares
Q, S / sqrt(Q) does not depend on Q, so that the next one depends on the last and on one more value alone.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Numbers = NDArray[numpy.float64]

FARTHEST = 7.0
"""Scores are followed up to this far from 0, in standard deviations: beyond lie 1e-12 of all."""
CELLS = 400
"""Into how many cells the scores are divided: the computed levels are right to about a hundredth."""


@cache
def levels(first: int, last: int, total: float) -> tuple[float, ...]:
    """The level of each look, when the first is at `first` values and one more follows each up to `last`.

    If all values come from one normal distribution with a mean of 0 or below, the chance that a one-sided
    t-test is below its level at any look is `total`. Takes 0.1 s a look.

    Raises:
        ValueError: there is no look, or it has less than two values.
    """
    if not 2 <= first <= last:
        raise ValueError(f"no t-test can look at {first} to {last} values")
    looks = last - first + 1
    found = [total / looks]
    path = _Path(first, found[0])
    for look in range(2, looks + 1):
        found.append(path.look(total * look / looks - total * (look - 1) / looks))
    return tuple(found)


class _Path:
    """The scores of studies in which nothing is to be found and no look was wrong yet.

    The score is the t-statistic as a quantile of the normal distribution: without looks it is standard normal
    at any number of values. Each cell stands for the scores in it by its middle.
    """

    def __init__(self, n: int, level: float) -> None:
        import numpy
        from scipy.special import ndtr, ndtri

        self._n = n
        self._edges = numpy.linspace(-FARTHEST, FARTHEST, CELLS + 1)
        self._middles = (self._edges[1:] + self._edges[:-1]) / 2
        self._above = ndtr(-self._edges)
        self._above[0], self._above[-1] = 1.0, 0.0
        self._mass = self._up_to(-ndtri(level), self._above)

    def look(self, spends: float) -> float:
        """Add a value, and return the level at which so much is newly wrong."""
        import numpy
        from scipy.optimize import brentq
        from scipy.special import ndtr

        before = _ratio(self._middles, self._n)
        inner = _ratio(self._edges[1:-1], self._n + 1)

        def too_much(score: float) -> float:
            chance = _chance_above(before, _ratio(numpy.array(score), self._n + 1), self._n)
            return float(self._mass @ chance) - spends

        above = numpy.empty(CELLS + 1)
        above[0], above[-1] = self._mass.sum(), 0.0
        above[1:-1] = self._mass @ _chance_above(before[:, None], inner[None, :], self._n)
        score = brentq(too_much, -FARTHEST, FARTHEST, xtol=1e-6)
        self._n += 1
        self._mass = self._up_to(score, above)
        return float(ndtr(-score))

    def _up_to(self, score: float, above: Numbers) -> Numbers:
        """The mass in each cell of what is not above the score."""
        from scipy.special import ndtr

        mass = above[:-1] - above[1:]
        cut = max(int(self._edges.searchsorted(score)) - 1, 0)
        of_cell = self._above[cut] - self._above[cut + 1]
        mass[cut] *= (self._above[cut] - ndtr(-score)) / of_cell
        mass[cut + 1 :] = 0.0
        return mass


def _ratio(score: Numbers, n: int) -> Numbers:
    """S / sqrt(Q) of `n` values whose t-statistic has this score."""
    import numpy
    from scipy.special import ndtr, stdtrit

    t = -numpy.sign(score) * stdtrit(n - 1, ndtr(-numpy.abs(score)))
    ratio: Numbers = t * math.sqrt(n) / numpy.sqrt(n - 1 + t * t)
    return ratio


def _chance_above(ratio: Numbers, bound: Numbers, n: int) -> Any:
    """The chance that the ratio of `n` values is above the bound after one more value.

    The next ratio is ratio * cos(a) + sin(a), where sqrt(n) * tan(a) has Student's t-distribution with n
    degrees of freedom, independent of the ratio.
    """
    import numpy
    from scipy.special import stdtr

    right = math.pi / 2
    turned = numpy.arctan(ratio)
    least = numpy.arcsin(numpy.clip(bound / numpy.sqrt(1 + ratio * ratio), -1, 1))
    low = numpy.clip(least - turned, -right, right)
    high = numpy.clip(math.pi - least - turned, -right, right)
    return stdtr(n, -numpy.tan(low) * math.sqrt(n)) - stdtr(n, -numpy.tan(high) * math.sqrt(n))
