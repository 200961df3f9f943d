"""The record of a race over seeds: what each round has shown, as it is stored with the study.

A configuration is named by its first cell, since cells keep their numbers while a study grows.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from mnist_tune.jobs.hyperparameters import Count
from mnist_tune.spec.documents import Section


class Ending(StrEnum):
    """Why a race is over."""

    BEST = "one is best"
    """One configuration is left."""
    EQUAL = "equal for every purpose"
    """All differences between the best and the others lie within the indifference."""
    TIED = "tied"
    """All seeds are spent, and several are still in the race."""


class Compared(Section):
    """A configuration in comparison with the best of its round, in units of the objective."""

    cell: Count
    shared: Count
    """How many seeds it has in common with the best."""
    difference: float | None = None
    """By how much the best is better in the mean over these seeds; None without any."""
    deviation: Annotated[float, Field(ge=0)] | None = None
    """The standard deviation of the difference between seeds; None below two."""
    low: float | None = None
    """The lower end of the interval of the difference, at the level of the round; None below two seeds."""

    @property
    def high(self) -> float | None:
        """The upper end of the interval: it lies as far above the difference as the lower end below."""
        if self.low is None or self.difference is None:
            return None
        return 2 * self.difference - self.low

    @property
    def is_out(self) -> bool:
        """Whether it is behind the best."""
        return self.low is not None and self.low > 0


class Round(Section):
    """One judgement of a race."""

    seeds: Annotated[Count, Field(ge=1)]
    """How many seeds of each configuration were looked at, the first ones."""
    best: Count
    rivals: list[Compared] = Field(default_factory=list)
    """The others that were in the race, from the best mean to the worst."""
    dropped: list[Count] = Field(default_factory=list)
    """The configurations that are out without a comparison: they were pruned, or have no value."""
    missing: list[Count] = Field(default_factory=list)
    """The cells that were looked at and had no value: what a retry gives them changes no judgement."""
    explored: Count = 0
    """How many trials of a sampled search the best were chosen among; nothing else was judged then."""
    chosen: list[Count] = Field(default_factory=list)
    """The trials whose configurations were chosen to take part, the best first."""
    ending: Annotated[Ending, Field(strict=False)] | None = None

    @property
    def compared(self) -> list[int]:
        """The configurations that were compared: the best of the round, and its rivals."""
        return [self.best, *(rival.cell for rival in self.rivals)] if not self.explored else []

    @property
    def out(self) -> list[int]:
        """The configurations that left the race in this round."""
        return [*(rival.cell for rival in self.rivals if rival.is_out), *self.dropped]

    @property
    def still_in(self) -> list[int]:
        """The configurations that go on or, at the end, those that may be the truly best."""
        return [self.best, *(rival.cell for rival in self.rivals if not rival.is_out)]


def rounded(number: float) -> float | None:
    """A number as it is stored, of six digits; None if it is none."""
    return float(f"{number:.6g}") if math.isfinite(number) else None
