"""A figure over several runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Spread:
    """Median, lowest and highest value of a figure over the repeats."""

    median: float
    lowest: float
    highest: float

    def __str__(self) -> str:
        if self.lowest == self.highest:
            return _shown(self.median)
        return f"{_shown(self.median)} ({_shown(self.lowest)} to {_shown(self.highest)})"


def spread(figures: Sequence[float]) -> Spread:
    """The median, lowest and highest of the values."""
    return Spread(median(figures), min(figures), max(figures))


def _shown(figure: float) -> str:
    return f"{figure:.3g}" if figure < 100 else f"{figure:,.0f}"
