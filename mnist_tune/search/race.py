"""Says which configurations of a race over seeds are still in it, and whether the race is settled.

In each round every configuration that is still in the race is trained with one more seed. Then each is
compared with the one that has the best mean. It is out if a one-sided paired t-test over their common seeds
says that it is behind.

A level is held, however often one looks: each rival that was ever in the race has an equal part of it, and
each round spends an equal share of this part (see `spending`). The truly best configuration can be out only
if some rival seems to be ahead of it by more than its part allows. By the union bound (Boole's inequality)
the chance of this is at most the level, whoever has the best mean in each round. Rivals that join later add
their parts to what is spent by then: `settling.Race.level_in_all` says how much it is in all.

tests/benchmarks/settling.py simulates that this holds, and what it saves.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from mnist_tune.search.spending import levels
from mnist_tune.spec.rounds import Ending as Ending
from mnist_tune.spec.sections import Replicates

POWER = 0.8
"""The chance with which a number of seeds is to tell a difference, where one is advised: the usual 80 %."""
MOST_ADVISED = 10_000
"""The most seeds that are advised; beyond, two configurations are as good as equal."""

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Rival(Generic[Key]):
    """A configuration in comparison with the best of its round, in units of the objective."""

    key: Key
    shared: int
    """How many seeds it has in common with the best."""
    difference: float
    """By how much the best is better in the mean over these seeds; NaN without any."""
    deviation: float
    """The standard deviation of the difference between seeds; infinite below two."""
    low: float
    high: float
    """The interval of the difference at the level of this round."""

    @property
    def is_out(self) -> bool:
        """Whether it is behind the best."""
        return self.low > 0

    def is_equal(self, indifference: float) -> bool:
        """Whether the difference is surely no larger than the indifference, in either direction."""
        return -indifference <= self.low and self.high <= indifference


@dataclass(frozen=True)
class Judgement(Generic[Key]):
    """What a round of a race has shown."""

    best: Key
    rivals: tuple[Rival[Key], ...]
    """The others that were in the race, from the best mean to the worst."""
    ending: Ending | None
    """Why the race is over; None while it goes on."""

    @property
    def still_in(self) -> list[Key]:
        """The configurations that go on, or at the end those that may be the truly best."""
        return [self.best, *(rival.key for rival in self.rivals if not rival.is_out)]


def judge(
    values: Mapping[Key, Mapping[int, float]],
    rules: Replicates,
    n_seeds: int,
    n_rivals: int,
    *,
    sign: int = 1,
    step: float = 0.0,
) -> Judgement[Key]:
    """Compare the configurations that are in a race after a round.

    `values` are the objective's by configuration and seed; each configuration has at least one. `n_seeds`
    is how many each was to have by now. `n_rivals` is how many others each had when the race was largest.
    `sign` is -1 if lower values are better, and `step` the least difference that two values can have.
    """
    if not values:
        raise ValueError("a race needs a configuration with a value")
    means = {key: sign * statistics.fmean(of_seeds.values()) for key, of_seeds in values.items()}
    best, *others = sorted(values, key=lambda key: -means[key])
    level = level_of(rules, n_seeds, n_rivals)
    rivals = tuple(_compared(values[best], key, values[key], level, sign, step) for key in others)
    return Judgement(best, rivals, _ending(rivals, rules, n_seeds))


def level_of(rules: Replicates, n_seeds: int, n_rivals: int) -> float:
    """The level of one comparison in the round in which each has `n_seeds`, or else in the last round."""
    of_rounds = levels(rules.start, rules.max, rules.level / max(n_rivals, 1))
    return of_rounds[min(n_seeds, rules.max) - rules.start]


def _compared(
    best: Mapping[int, float], key: Key, other: Mapping[int, float], level: float, sign: int, step: float
) -> Rival[Key]:
    differences = [sign * (best[seed] - other[seed]) for seed in sorted(best.keys() & other.keys())]
    n = len(differences)
    if n < 2:
        return Rival(key, n, differences[0] if n else math.nan, math.inf, -math.inf, math.inf)
    mean = statistics.fmean(differences)
    # Values that move in steps: equal differences on a few seeds are luck, not certainty.
    deviation = max(statistics.stdev(differences), step)
    margin = _quantile(n, level) * deviation / math.sqrt(n)
    return Rival(key, n, mean, deviation, mean - margin, mean + margin)


def _ending(rivals: Sequence[Rival[Key]], rules: Replicates, n_seeds: int) -> Ending | None:
    left = [rival for rival in rivals if not rival.is_out]
    if not left:
        return Ending.BEST
    if all(rival.is_equal(rules.indifference) for rival in left):
        return Ending.EQUAL
    return Ending.TIED if n_seeds >= rules.max else None


def seeds_to_decide(rival: Rival[Key], rules: Replicates, n_rivals: int) -> int | None:
    """How many seeds it takes until the rival is out or equal, if its difference and deviation stay the same.

    None if not even `MOST_ADVISED` are enough, or if nothing is known of the deviation yet.
    """
    if not math.isfinite(rival.deviation):
        return None

    def is_decided(n: int) -> bool:
        margin = _quantile(n, level_of(rules, n, n_rivals)) * rival.deviation / math.sqrt(n)
        return rival.difference > margin or abs(rival.difference) + margin <= rules.indifference

    return _least(is_decided, max(rules.start, 2))


def seeds_to_tell(difference: float, deviation: float, level: float) -> int | None:
    """How many seeds tell a true difference with a chance of `POWER`, by one test at this level.

    `deviation` is that of the difference between seeds. By the noncentral t-distribution. None if not even
    `MOST_ADVISED` are enough.
    """
    from scipy.special import nctdtr

    if difference <= 0:
        return None
    if deviation == 0:
        return 2

    def is_told(n: int) -> bool:
        shift = difference / deviation * math.sqrt(n)
        # Far to the right the distribution is a normal one, whose tail scipy may return as NaN.
        missed = nctdtr(n - 1, shift, _quantile(n, level)) if shift < 30 else 0.0
        return bool(1 - missed >= POWER)

    return _least(is_told, 2)


def _quantile(n: int, level: float) -> float:
    """The quantile of Student's t that a mean of `n` differences is beyond by luck at this level."""
    from scipy.special import stdtrit  # scipy.stats takes four times as long to import

    return float(-stdtrit(n - 1, level))


def _least(holds: Callable[[int], bool], start: int) -> int | None:
    """The least number from `start` to `MOST_ADVISED` for which it holds, if it holds for all above it."""
    if holds(start):
        return start
    low, high = start, start * 2
    while not holds(high):
        if high >= MOST_ADVISED:
            return None
        low, high = high, min(high * 2, MOST_ADVISED)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
