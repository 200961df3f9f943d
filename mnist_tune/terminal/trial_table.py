"""The rows of cells in the live view; if there are too many, those that run or ended last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.results.eta import Pace, epochs_of
from mnist_tune.results.scales import height_of
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import State, TrialResult
from mnist_tune.spec.axes import Interval
from mnist_tune.spec.conditions import Value
from mnist_tune.terminal.column_layout import Column, Draw, Layout, T, fit, folded
from mnist_tune.terminal.glyphs import Pen
from mnist_tune.text.speeds import speed
from mnist_tune.text.wording import PARAMETER_WIDTH, clock, parameter, shortened

STYLES = {State.RUNNING: "cyan", "stale": "yellow", State.FAILED: "red", State.COMPLETE: "green"}
"""Colours repeat what the symbol and the word beside them say."""
FOLDED = (State.RUNNING, State.FAILED, State.COMPLETE, State.PRUNED, State.WAITING)
"""The states in the order in which hidden cells are counted."""
LONGEST_SKETCH = 20
LONGEST_HEADING = 20
"""The most characters of a line of a title: a longer name would push the column off the screen."""
NEVER = datetime.min.replace(tzinfo=UTC)


def cell_lines(results: Results, pace: Pace, pen: Pen, width: int, height: int) -> list[Text]:
    """The last attempt of each cell, in at most `height` lines; cells that do not fit are counted."""
    layout = fit(_Drawings(results, pace, pen).columns(), width)
    shown = _chosen(results.latest, height - len(layout.head()))
    return _lines(layout, shown, results.latest, "cell", width)[: max(height, 0)]


def attempt_lines(
    results: Results, pen: Pen, width: int, shown: Sequence[TrialResult], of: Sequence[TrialResult], what: str
) -> list[Text]:
    """A line for each attempt in `shown`; the others in `of` are counted, each as a `what`."""
    drawings = _Drawings(results, Pace(results, datetime.now(UTC)), pen)
    return _lines(fit(drawings.still(), width), shown, of, what, width)


def _lines(
    layout: Layout[TrialResult],
    shown: Sequence[TrialResult],
    of: Sequence[TrialResult],
    what: str,
    width: int,
) -> list[Text]:
    rows = (layout.row(each, "dim" if each.state == State.WAITING else "") for each in shown)
    lines = [*layout.head(), *rows]
    if len(shown) < len(of):
        states = Counter(attempt.state for attempt in of)
        states.subtract(attempt.state for attempt in shown)
        lines.append(folded(Counter({state: states[state] for state in FOLDED}), what, width))
    return lines


def _chosen(latest: Sequence[TrialResult], n_lines: int) -> list[TrialResult]:
    """All cells in their order or, if there are too many: running ones, then the last to end."""
    if len(latest) <= n_lines:
        return sorted(latest, key=lambda attempt: attempt.cell)
    running = sorted((one for one in latest if one.state == State.RUNNING), key=lambda one: one.number)
    ended = [one for one in latest if one.state not in (State.RUNNING, State.WAITING)]
    ended.sort(key=lambda one: (one.ended or NEVER, one.number), reverse=True)
    return [*running, *ended][: max(n_lines - 1, 0)]


class _Drawings:
    """Draws the columns of an attempt. Each is as wide as the longest text that it may ever show."""

    def __init__(self, results: Results, pace: Pace, pen: Pen) -> None:
        self._results = results
        self._pace = pace
        self._pen = pen
        axes = results.spec.search.axes
        self._most_epochs = int(max(_ends(axes.get("epochs", [results.spec.training.epochs]))))
        values = [value for attempt in results.latest for value in attempt.objective_values]
        self._height = height_of(results.job, values)
        heights = [self._height(value) for value in values]
        self._scale = min(heights, default=0.0), max(heights, default=0.0)

    def columns(self) -> list[Column[TrialResult]]:
        """All columns, in their order."""
        spec = self._results.spec
        most = self._most_epochs
        sketch = min(most, LONGEST_SKETCH)
        return [
            Column("trial", 0, len(str(spec.n_cells)), lambda attempt, _: str(attempt.number), right=True),
            *(axis_column(name, axis, _parameters) for name, axis in self._results.parameters.items()),
            Column("state", 1, 10, self._state),
            Column("attempt", 9, 3, self._attempt, right=True),
            Column("", 6, 6, self._bar, most=LONGEST_SKETCH),
            Column("epoch", 2, 2 * len(str(most)) + 1, self._epoch, right=True),
            *(self._metric(name) for name in self._results.metrics),
            Column("", 7, min(most, 5), self._sparkline, most=sketch),
            *self._speed(),
            Column("ETA", 5, 7, self._left, right=True),
            Column("worker", 11, 16, self._worker, most=32),
        ]

    def still(self) -> list[Column[TrialResult]]:
        """The columns of a page that is printed once: no bar, and the time left only if something runs."""
        runs = any(attempt.state == State.RUNNING for attempt in self._results.latest)
        return [
            replace(column, rank=5) if column.draw == self._sparkline else column
            for column in self.columns()
            if column.draw != self._bar and (runs or column.draw != self._left)
        ]

    def _state(self, attempt: TrialResult, _width: int) -> Text:
        word = "stale" if attempt.stale else attempt.state
        return Text(f"{self._pen.symbols[attempt.state]} {word}", style=STYLES.get(word, ""))

    def _attempt(self, attempt: TrialResult, _width: int) -> str:
        return "" if attempt.state == State.WAITING and attempt.attempt == 1 else str(attempt.attempt)

    def _bar(self, attempt: TrialResult, width: int) -> str | Text:
        if attempt.state == State.WAITING:
            return ""
        share = len(attempt.history) / epochs_of(self._results, attempt)
        return self._pen.bar(share, width, STYLES.get(attempt.state, ""))

    def _epoch(self, attempt: TrialResult, _width: int) -> str:
        if attempt.state == State.WAITING:
            return ""
        return f"{len(attempt.history)}/{epochs_of(self._results, attempt)}"

    def _sparkline(self, attempt: TrialResult, width: int) -> Text:
        heights = [self._height(value) for value in attempt.objective_values]
        drawn = self._pen.sparkline(heights, *self._scale, width, self._most_epochs)
        return Text(drawn, style="dim")

    def _metric(self, name: str) -> Column[TrialResult]:
        job = self._results.job
        metric, is_objective = job.metric(name), name == job.objective
        title = self._pen.text(metric.title or heading(name))
        rank = 3 if is_objective else 8
        last = _last(lambda epoch: self._pen.text(metric.text(epoch[name])))
        if is_objective and job.test_metric is not None:  # no epoch has it

            def last(attempt: TrialResult, _: int) -> str:
                return metric.text(attempt.value)

        return Column(title, rank, metric.room, last, right=True)

    def _speed(self) -> list[Column[TrialResult]]:
        job = self._results.job
        if job.rate is None:
            return []
        rate = job.rate
        return [Column(job.speed_unit, 10, 9, _last(lambda epoch: speed(epoch[rate])), right=True)]

    def _left(self, attempt: TrialResult, _width: int) -> str:
        seconds = self._pace.seconds_left_of(attempt)
        return "" if seconds is None else clock(seconds)

    def _worker(self, attempt: TrialResult, width: int) -> str:
        return self._pen.text(shortened(attempt.worker or "", width, self._pen.ellipsis))


def _parameters(attempt: TrialResult) -> dict[str, Any]:
    return attempt.parameters


def axis_column(
    name: str, axis: list[Value] | Interval, parameters_of: Callable[[T], dict[str, Any]]
) -> Column[T]:
    """The column of a searched field; its title has one word of the name in each line."""
    is_number = isinstance(axis, Interval) or not any(isinstance(value, str) for value in axis)

    def value(item: T, _width: int) -> str:
        parameters = parameters_of(item)
        return parameter(parameters[name]) if name in parameters else ""

    width = max(len(parameter(end)) for end in (axis if isinstance(axis, list) else _ends(axis)))
    if isinstance(axis, Interval) and not (isinstance(axis.low, int) and isinstance(axis.high, int)):
        width = PARAMETER_WIDTH + (axis.low < 0)
    rank = 4 if name != "epochs" else 8  # the epoch column shows these too
    return Column(heading(name), rank, width, value, right=is_number)


def _ends(axis: list[Value] | Interval) -> list[Value]:
    return [axis.low, axis.high] if isinstance(axis, Interval) else axis


def _last(text: Callable[[EpochMetrics], str]) -> Draw[TrialResult]:
    """Draws a text about an attempt's last epoch."""
    return lambda attempt, _: text(attempt.history[-1]) if attempt.history else ""


def heading(name: str) -> str:
    """A name as the title of a column, one word of it in each of two lines."""
    return "\n".join(shortened(part, LONGEST_HEADING, "..") for part in name.split("_", 1))
