"""A study's race over seeds on a screen: how it stands, and who is still in it."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from mnist_tune.results.race_standing import Contender
from mnist_tune.results.study_results import Results
from mnist_tune.spec.conditions import SEED
from mnist_tune.terminal.column_layout import Column, fit
from mnist_tune.terminal.glyphs import Pen
from mnist_tune.terminal.trial_table import axis_column
from mnist_tune.text.wording import shortened

INTERVAL = "behind the best by\n(interval)"
"""The heading of a column of differences."""
WIDEST_INTERVAL = 30


def race_lines(results: Results, pen: Pen, width: int, most: int) -> list[Text]:
    """At most so many lines on the race of a study; none if it has none, or there is no room."""
    race = results.race
    if race is None:
        return []
    told = [Text(shortened(pen.text(line), width, pen.ellipsis)) for line in race.lines()]
    still_in = [each for each in race.contenders if each.after and not each.is_out]
    axes = {name: axis for name, axis in results.spec.search.axes.items() if name != SEED}

    def interval(one: Contender, _: int) -> str:
        return pen.text(race.interval(one)) if one.compared is not None else "best so far"

    def decided(one: Contender, _: int) -> str:
        return "" if one.decided_after is None else f"{one.decided_after:,}"

    columns: list[Column[Contender]] = [
        *(axis_column(name, axis, _parameters) for name, axis in axes.items()),
        Column(INTERVAL, 0, WIDEST_INTERVAL, interval),
        Column("decided\nafter", 3, 7, decided, right=True),
    ]
    layout = fit(columns, width)
    rows = [layout.row(one) for one in still_in]
    table = [*layout.head(), *rows] if rows and not race.is_over else []
    lines = [*told, *table][:most]
    return [*lines, Text()] if lines else []


def _parameters(one: Contender) -> dict[str, Any]:
    return one.parameters
