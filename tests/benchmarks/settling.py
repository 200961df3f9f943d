"""Simulates races over seeds: how often the truly best is dropped, and how many trainings a race saves.

    python -m tests.benchmarks.settling [--studies N] [--processes N]

The first configuration is the truly best, or one of several that are equally good. Each value is the mean of
its configuration, plus a part that all configurations with the same seed have in common, plus a part of its
own with a standard deviation of 1. Where deviations are unequal, those of the others run from 0.5 to 2.

Beside the race there are two other ways:

- at once: as many seeds for each configuration as give the same chance that the truly best is told from all
  others, compared once, with Holm's correction. Nobody knows before how many these are.
- naive: the race, in which each comparison of each round is made at 5 %.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy
import numpy.typing
from scipy.special import stdtr

from mnist_tune.results.significance import LEVEL, holm
from mnist_tune.search.race import Ending, judge
from mnist_tune.spec.sections import Replicates

RULES = Replicates(start=2, max=30, level=LEVEL, indifference=1.0)
"""A race with differences in units of the standard deviation of one value."""
MOST_AT_ONCE = 200
"""The most seeds that the fixed number may take."""

Values = numpy.typing.NDArray[numpy.float64]


@dataclass(frozen=True)
class Setting:
    """What is true of the configurations of a study."""

    n: int
    """How many there are."""
    gap: float
    """By how much the first is better than the second, and each than the next but one of a few steps."""
    is_unequal: bool = False
    """Whether their deviations differ."""

    @property
    def means(self) -> list[float]:
        return [0.0] + [-self.gap * (1 + place % 3) for place in range(self.n - 1)]

    @property
    def deviations(self) -> list[float]:
        if not self.is_unequal:
            return [1.0] * self.n
        return [1.0] + [0.5 * 4 ** (place / max(self.n - 2, 1)) for place in range(self.n - 1)]


SETTINGS = [
    Setting(n, gap, is_unequal)
    for n in (2, 4, 8, 32)
    for gap in (0.0, 0.5, 1.0, 2.0, 5.0)
    for is_unequal in (False, True)
]


@dataclass(frozen=True)
class Outcome:
    """How one simulated study ended."""

    ending: Ending
    has_dropped_the_best: bool
    is_right: bool
    """Whether the truly best one is left alone."""
    trainings: int


@dataclass(frozen=True)
class Row:
    """What the simulated studies of a setting came to. Shares are of all studies."""

    setting: Setting
    dropped: float
    naive_dropped: float
    right: float
    equal: float
    tied: float
    trainings: float
    """The mean number of trainings of a race."""
    trainings_at_once: int | None
    """How many trainings with a fixed number of seeds are right as often; None if that takes too many."""


def drawn(setting: Setting, n_seeds: int, source: numpy.random.Generator) -> Values:
    """The values of one study: a row for each configuration, a column for each seed."""
    common = 2 * source.standard_normal(n_seeds)
    own = source.standard_normal((setting.n, n_seeds)) * numpy.array(setting.deviations)[:, None]
    values: Values = numpy.array(setting.means)[:, None] + common + own
    return values


def raced(values: Values, rules: Replicates) -> Outcome:
    """Run one race over these values, in which a configuration's seeds are seen only while it is in."""
    still_in, trainings = list(range(len(values))), 0
    for n_seeds in range(rules.start, rules.max + 1):
        trainings += len(still_in) * (rules.start if n_seeds == rules.start else 1)
        seen = {which: dict(enumerate(values[which, :n_seeds].tolist())) for which in still_in}
        judgement = judge(seen, rules, n_seeds, len(values) - 1)
        still_in = judgement.still_in
        if judgement.ending:
            break
    assert judgement.ending
    return Outcome(judgement.ending, 0 not in still_in, still_in == [0], trainings)


def naively_dropped(values: Values, rules: Replicates) -> bool:
    """Whether the truly best is dropped if each look is a test at the whole level."""
    still_in = list(range(len(values)))
    for n in range(rules.start, rules.max + 1):
        of_round = values[still_in, :n]
        best = int(of_round.mean(axis=1).argmax())
        chances = _p_values(of_round, best)
        left = [which for which, chance in zip(still_in, chances, strict=True) if chance >= rules.level]
        if 0 not in left:
            return True
        if len(left) == 1:
            return False
        still_in = left
    return False


def is_right_at_once(values: Values, level: float) -> bool:
    """Whether the truly best is told from all others by one look, with Holm's correction."""
    best = int(values.mean(axis=1).argmax())
    chances = numpy.delete(_p_values(values, best), best)
    return best == 0 and max(holm(chances.tolist())) < level


def _p_values(values: Values, best: int) -> Values:
    """The chance, for each row, of being so far behind `best` by luck; 1 for the best itself."""
    n = values.shape[1]
    differences = values[best] - values
    deviations = differences.std(axis=1, ddof=1)
    deviations[best] = 1.0
    chances: Values = stdtr(n - 1, -differences.mean(axis=1) / deviations * math.sqrt(n))
    chances[best] = 1.0
    return chances


def simulated(setting: Setting, studies: int) -> Row:
    """Simulate studies of one setting; the same each time."""
    source = numpy.random.default_rng([setting.n, int(10 * setting.gap), setting.is_unequal])
    all_values = [drawn(setting, RULES.max, source) for _ in range(studies)]
    outcomes = [raced(values, RULES) for values in all_values]
    right = statistics.fmean(outcome.is_right for outcome in outcomes)
    endings = [outcome.ending for outcome in outcomes]
    return Row(
        setting,
        dropped=statistics.fmean(outcome.has_dropped_the_best for outcome in outcomes),
        naive_dropped=statistics.fmean(naively_dropped(values, RULES) for values in all_values),
        right=right,
        equal=endings.count(Ending.EQUAL) / studies,
        tied=endings.count(Ending.TIED) / studies,
        trainings=statistics.fmean(outcome.trainings for outcome in outcomes),
        trainings_at_once=_trainings_at_once(setting, right, studies, source) if setting.gap else None,
    )


def _trainings_at_once(
    setting: Setting, right: float, studies: int, source: numpy.random.Generator
) -> int | None:
    """How many trainings, with the same number of seeds for all, are right as often as the race."""
    all_values = [drawn(setting, MOST_AT_ONCE, source) for _ in range(studies)]
    for n in range(2, MOST_AT_ONCE + 1):
        if statistics.fmean(is_right_at_once(values[:, :n], RULES.level) for values in all_values) >= right:
            return n * setting.n
    return None


def table(rows: Sequence[Row], studies: int) -> str:
    """The rows as a table in Markdown."""
    lines = [
        f"{studies:,} studies a row; start {RULES.start}, max {RULES.max}, level {RULES.level:g}, "
        f"indifference {RULES.indifference:g} deviations",
        "",
        "| configurations | gap | deviations | best dropped | naive | best alone | equal | tied | trainings "
        "| at once |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        at_once = "" if row.trainings_at_once is None else f"{row.trainings_at_once}"
        shares = (row.dropped, row.naive_dropped, row.right, row.equal, row.tied)
        cells = [
            f"{row.setting.n}",
            f"{row.setting.gap:g}",
            "unequal" if row.setting.is_unequal else "equal",
            *(f"{100 * part:.1f} %" for part in shares),
            f"{row.trainings:.1f}",
            at_once,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Simulate all settings and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=2000, help="of each setting")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    with multiprocessing.Pool(options.processes) as pool:
        rows = pool.map(partial(simulated, studies=options.studies), SETTINGS, chunksize=1)
    print(table(rows, options.studies))


if __name__ == "__main__":
    main()
