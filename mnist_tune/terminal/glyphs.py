"""Small drawings in text: how far something is, and how a number went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text

from mnist_tune.results.trial_result import State
from mnist_tune.terminal.tables import SYMBOLS


@dataclass(frozen=True)
class Pen:
    """The characters that a terminal can show."""

    full: str
    half: str
    """The end of a bar that is not full."""
    empty: str
    levels: str
    """From the lowest to the highest."""
    ellipsis: str
    symbols: Mapping[State, str]
    """Of each state of an attempt."""

    is_ascii: bool = False

    def text(self, stored: str) -> str:
        """A text in characters that can be shown."""
        return stored.replace("±", "+/-").encode("ascii", "replace").decode() if self.is_ascii else stored

    def bar(self, share: float, width: int, style: str = "") -> Text:
        """A bar that is full at a share of 1, and only there; empty at 0, and only there."""
        steps = 2 * width  # half a character each
        filled = int(share * steps)
        if 0 < share < 1:
            filled = min(max(filled, 1), steps - 1)
        done = self.full * (filled // 2) + self.half * (filled % 2)
        return Text.assemble((done, style), (self.empty * (width - len(done)), "dim"))

    def sparkline(self, values: Sequence[float], low: float, high: float, width: int, epochs: int) -> str:
        """One character a value or, where `epochs` values need more than `width`, the last of several."""
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
