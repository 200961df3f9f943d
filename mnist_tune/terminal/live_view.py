"""A running study on one screen: totals, a row for each cell, a row for each worker."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime

from rich.text import Text

from mnist_tune.contract.study import Control
from mnist_tune.results.eta import Pace, epochs_of
from mnist_tune.results.standing import objective
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import State
from mnist_tune.terminal.column_layout import aside
from mnist_tune.terminal.glyphs import ASCII, UNICODE, Pen
from mnist_tune.terminal.race_lines import race_lines
from mnist_tune.terminal.trial_table import cell_lines
from mnist_tune.terminal.worker_table import worker_lines
from mnist_tune.text.wording import duration, shortened

WORKERS_SHARE = 3
"""Workers get at most a third of the screen."""
RACES_SHARE = 4
"""A race over seeds gets at most a quarter of it."""
NO_ETA_YET = "ETA after the first epoch"  # the longest text in its place
SHORTEST_BAR = 8


def live_view(
    results: Results,
    width: int,
    height: int,
    *,
    now: datetime | None = None,
    ascii_only: bool = False,
    notice: str = "",
) -> Text:
    """The study as a screen of that size; if there are too many cells, those that run or ended last.

    Widths depend only on the spec and the size, so that no column moves between two drawings.
    """
    pen = ASCII if ascii_only else UNICODE
    pace = Pace(results, now or datetime.now(UTC))
    head = _head(results, pace, pen, width)
    notes = [Text(line, style="bold") for line in textwrap.wrap(pen.text(notice), width)]
    foot = [Text(), *notes] if notes else []
    workers = worker_lines(results, pen, width, height // WORKERS_SHARE - 1)
    if workers:
        workers = [Text(), *workers]
    race = race_lines(results, pen, width, height // RACES_SHARE - 1)
    room = height - len(head) - len(race) - len(workers) - len(foot)
    lines = [*head, *race, *cell_lines(results, pace, pen, width, room), *workers]
    lines = [*lines[: height - len(foot)], *foot][:height]
    return Text("\n", no_wrap=True, overflow="crop", end="").join(lines)


def _head(results: Results, pace: Pace, pen: Pen, width: int) -> list[Text]:
    """The study's name, a bar and the time left; then its cells by state, and the best."""
    cells = results.cells
    total = f"{cells.total} {'cell' if cells.total == 1 else 'cells'}"
    name = Text(pen.text(shortened(results.name, max(width // 4, 10), pen.ellipsis)), style="bold")
    count = Text(f"{cells.complete + cells.pruned}/{total}".rjust(len(f"{cells.total}/{total}")))
    outlook = Text(_outlook(results, pace))
    spare = width - name.cell_len - count.cell_len - len(NO_ETA_YET) - 6
    bar = [pen.bar(_share_done(results), spare, "cyan")] if spare >= SHORTEST_BAR else []
    states = [
        f"{number:,} {state}"
        for state, number in cells.in_states(State.RUNNING, State.WAITING, State.PRUNED, State.FAILED)
    ]
    best = f"{results.best_word} {objective(results.best, results.job)}" if results.best is not None else ""
    return [
        aside(Text("  ").join([name, *bar, count]), outlook, width),
        aside(Text(", ".join(states)), Text(pen.text(best)), width),
        Text(),
    ]


def _outlook(results: Results, pace: Pace) -> str:
    """When the study will be finished, or why that is not known."""
    if results.is_finished:
        return ""
    if results.control is not Control.RUNNING:
        return results.control
    if not pace.n_workers:
        return "waiting for workers"
    seconds = pace.seconds_left()
    return NO_ETA_YET if seconds is None else f"ETA {duration(seconds)}"


def _share_done(results: Results) -> float:
    """The share of all epochs of all cells that is done."""
    shares = (
        len(attempt.history) / epochs_of(results, attempt)
        if attempt.state in (State.WAITING, State.RUNNING)
        else 1.0
        for attempt in results.latest
    )
    return sum(shares) / max(len(results.latest), 1)
