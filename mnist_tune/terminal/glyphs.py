"""Small drawings in text: bars, and the course of a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text

from mnist_tune.results.trial_result import State
from mnist_tune.terminal.tables import SYMBOLS


@dataclass(frozen=True)
class Pen:
    """The characters for drawings that a terminal can show."""

    full: str
    half: str
    """The end of a bar that is not full."""
    empty: str
    levels: str
    """The characters from the lowest level to the highest."""
    ellipsis: str
    symbols: Mapping[State, str]
    """The symbol of each state of an attempt."""

    is_ascii: bool = False

    def text(self, stored: str) -> str:
        """A text in characters that the terminal can show."""
        return stored.replace("±", "+/-").encode("ascii", "replace").decode() if self.is_ascii else stored

    def bar(self, share: float, width: int, style: str = "") -> Text:
        """A bar; only a share of 1 fills it whole, and only a share of 0 leaves it empty."""
        steps = 2 * width  # half a character each
        filled = int(share * steps)
        if 0 < share < 1:
            filled = min(max(filled, 1), steps - 1)
        done = self.full * (filled // 2) + self.half * (filled % 2)
        return Text.assemble((done, style), (self.empty * (width - len(done)), "dim"))

    def sparkline(self, values: Sequence[float], low: float, high: float, width: int, epochs: int) -> str:
        """One character for each value; if `epochs` exceeds `width`, for the last of several values."""
        columns = {index * min(width, epochs) // epochs: value for index, value in enumerate(values)}
        top = len(self.levels) - 1
        return "".join(
            self.levels[round(top * (value - low) / (high - low)) if high > low else top // 2]
            for value in columns.values()
        )


UNICODE = Pen(full="━", half="╸", empty="─", levels="▁▂▃▄▅▆▇█", ellipsis="…", symbols=SYMBOLS)
ASCII = Pen(
    full="#",
    half="-",
    empty=".",
    levels="_.-=+*%#",
    ellipsis="~",
    symbols={
        State.RUNNING: ">",
        State.FAILED: "x",
        State.COMPLETE: "+",
        State.PRUNED: "%",
        State.WAITING: ".",
    },
    is_ascii=True,
)
