"""Columns of fixed widths for a screen that is redrawn often: nothing moves when numbers grow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from rich.cells import cell_len, set_cell_size
from rich.text import Text

T = TypeVar("T")
Draw = Callable[[T, int], str | Text]
"""Draws an item's cell of a column in at most so many characters."""

WIDEST_GAP = 3


@dataclass(frozen=True)
class Column(Generic[T]):
    """One column of a table of T; on a narrow screen, columns with a low `rank` stay."""

    title: str
    """The title, in one or two lines."""
    rank: int
    width: int
    """The least width, besides that of the title."""
    draw: Draw[T]
    right: bool = False
    most: int = 0
    """The largest width, where there is room."""

    @property
    def lines(self) -> list[str]:
        """The lines of the title."""
        return self.title.split("\n")


@dataclass(frozen=True)
class Layout(Generic[T]):
    """The columns that fit, with their widths, and the gap between them."""

    columns: Sequence[Column[T]]
    gap: int

    def head(self) -> list[Text]:
        """The lines of the titles."""
        n_lines = max((len(column.lines) for column in self.columns), default=0)
        padded = [[""] * (n_lines - len(column.lines)) + column.lines for column in self.columns]
        return [self._line(titles, "dim") for titles in zip(*padded, strict=True)]

    def row(self, item: T, style: str = "") -> Text:
        """The line of one item."""
        return self._line([column.draw(item, column.width) for column in self.columns], style)

    def _line(self, cells: Sequence[str | Text], style: str) -> Text:
        parts = [
            _filled(Text(cell) if isinstance(cell, str) else cell, column.width, column.right)
            for column, cell in zip(self.columns, cells, strict=True)
        ]
        line = Text(" " * self.gap).join(parts)
        line.rstrip()
        line.stylize_before(style)
        return line


def fit(columns: Sequence[Column[T]], width: int) -> Layout[T]:
    """The most important columns that fit into `width`, in their order.

    The remaining width goes to the gaps, then to the columns that may grow.
    """
    needed = [max(column.width, *map(cell_len, column.lines)) for column in columns]
    widths: dict[int, int] = {}
    for index in sorted(range(len(columns)), key=lambda index: columns[index].rank):
        if sum(widths.values()) + len(widths) + needed[index] <= width:
            widths[index] = needed[index]
    gaps = max(len(widths) - 1, 0)
    spare = width - sum(widths.values()) - gaps
    gap = 1
    while gap < WIDEST_GAP and spare >= gaps > 0:
        spare -= gaps
        gap += 1
    growing = [index for index in widths if columns[index].most > widths[index]]
    while spare and growing:
        for index in growing[:spare]:
            widths[index] += 1
            spare -= 1
        growing = [index for index in growing if columns[index].most > widths[index]]
    return Layout([replace(columns[index], width=widths[index]) for index in sorted(widths)], gap)


def aside(left: Text, right: Text, width: int) -> Text:
    """Two texts at the two ends of a line; the right one only where there is room."""
    free = width - left.cell_len - right.cell_len
    return left + Text(" " * free) + right if right and free >= 2 else left


def folded(hidden: Mapping[Any, int], what: str, width: int) -> Text:
    """The line about rows that have no place: how many and, if there is room, in which states."""
    count = sum(hidden.values())
    line = f"... and {count:,} more {what}{'s' if count > 1 else ''}"
    states = ", ".join(f"{number:,} {state}" for state, number in hidden.items() if number)
    return Text(whole if cell_len(whole := f"{line}: {states}") <= width else line, style="dim")


def _filled(cell: Text, width: int, right: bool) -> Text:
    free = width - cell.cell_len
    if free < 0:
        return Text(set_cell_size(cell.plain, width), style=cell.style)
    return Text(" " * free) + cell if right else cell + Text(" " * free)
