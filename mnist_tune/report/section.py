"""The parts of the report: a question, the answer in words, a figure, and the numbers as a table."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go

from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import TrialResult
from mnist_tune.spec.conditions import SEED
from mnist_tune.text.wording import shortened

MOST_ROWS = 100
"""The most rows of a table; nobody reads longer ones."""
LONGEST_TEXT = 40
"""The most characters of a stored text inside a figure."""


@dataclass(frozen=True)
class Table:
    """Numbers in rows; `note` says what was left out."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """One question. If nothing can be drawn, there is no figure, and the answer says why."""

    key: str
    """The picture's anchor on the page, and its file name."""
    question: str
    answer: str
    figure: go.Figure | None = None
    tables: Sequence[Table] = field(default_factory=tuple)

    @property
    def alt(self) -> str:
        """The text for readers who cannot see the figure."""
        return f"{self.question} {self.answer}"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], what: str) -> Table:
    """A table of the first rows; `what` says which rows come first."""
    note = f"The {what} {MOST_ROWS} of {len(rows):,} rows." if len(rows) > MOST_ROWS else ""
    return Table(columns, rows[:MOST_ROWS], note)


def plain(stored: object) -> str:
    """A stored text for a figure, escaped since Plotly reads tags as markup."""
    return html.escape(shortened(str(stored), LONGEST_TEXT))


def rounded(value: float) -> float:
    """A value for a figure, with as many digits as can be seen."""
    return round(value, 4) if abs(value) >= 1 else float(f"{value:.6g}")


def searched(results: Results) -> list[str]:
    """The fields that differ between cells, seeds last."""
    axes = results.spec.search.axes
    names = [name for name, axis in axes.items() if not isinstance(axis, list) or len(axis) > 1]
    return sorted(names, key=lambda name: name == SEED)


def shared(results: Results) -> list[str]:
    """The fields that differ between cells and that every cell has."""
    return [name for name in searched(results) if name not in results.spec.search.conditions]


def left_out(results: Results) -> str:
    """The sentence about fields that only some cells have; empty if there are none."""
    some = [name for name in searched(results) if name in results.spec.search.conditions]
    return f" Left out, since not every cell has it: {', '.join(some)}." if some else ""


def of_field(results: Results, parameters: dict[str, Any], name: str) -> str:
    """A cell's value of a field as text; empty if the field's condition does not hold."""
    return number(parameters[name], choices(results, name)) if name in parameters else ""


def short_name(results: Results, parameters: dict[str, Any]) -> str:
    """What tells a configuration from the others, for example '0.001 / 64 / Adam'."""
    parts = [
        f"seed {parameters[name]}" if name == SEED else number(parameters[name], choices(results, name))
        for name in searched(results)
        if name in parameters
    ]
    return " / ".join(parts) or "the only configuration"


def worded(results: Results, parameters: dict[str, Any]) -> str:
    """A configuration as names with values."""
    return ", ".join(f"{name}={number(value, choices(results, name))}" for name, value in parameters.items())


def choices(results: Results, name: str) -> Sequence[Any]:
    """The values of a field that is searched as a list; empty for a range."""
    axis = results.spec.search.axes.get(name)
    return axis if isinstance(axis, list) else ()


def number(value: Any, among: Sequence[Any] = ()) -> str:
    """A searched value with four digits, or with all if four do not tell it from the others in `among`."""
    if not isinstance(value, float):
        return str(value)
    short = f"{value:.4g}"
    if float(short) == value:  # a value that would look the same is written out
        return short
    is_shared = any(other != value and f"{other:.4g}" == short for other in among)
    return str(value) if is_shared else short


def ends(values: Iterable[float]) -> tuple[float, float]:
    """The lowest and the highest value."""
    seen = list(values)
    return min(seen), max(seen)


def is_winner(results: Results, attempt: TrialResult) -> bool:
    """Whether the attempt belongs to the best configuration."""
    best = results.best
    return best is not None and any(one.number == attempt.number for one in best.attempts.values())
