"""Which worker worked on what, and when; failures with their class."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

import plotly.graph_objects as go

from mnist_tune.failures import EXTENDED
from mnist_tune.report.failures import by_class
from mnist_tune.report.panels import finish, panels
from mnist_tune.report.section import Picture, Table, plain, table, worded
from mnist_tune.report.taken_over import ran_here, taken_over
from mnist_tune.report.theme import PATTERN, colour
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import State, TrialResult
from mnist_tune.text.times import local_time, on_axis, zone_at
from mnist_tune.text.wording import duration, first_line, shortened

STYLES = {
    State.COMPLETE: ("tied", ""),
    State.RUNNING: ("series4", "."),
    "silent": ("series5", "-"),
    State.PRUNED: ("others", "x"),
    EXTENDED: ("tied", "\\"),
    State.FAILED: ("winner", "/"),
}
"""The colour of each state, and its pattern for people who do not see colours."""
MARKS = ["x-thin", "cross-thin", "asterisk", "y-up", "diamond-open", "square-open", "circle-open"]
MOST_LABELLED = 12
"""The most failures that are labelled with their class; more labels would cover each other."""
MOST_ROOMY = 16
"""The most workers whose rows have room for such labels."""
ROOM = 46


def timeline(results: Results, now: datetime) -> Picture:
    """The picture of the attempts by worker."""
    question = "Who worked on what, and when?"
    shown = [attempt for attempt in ran_here(results) if attempt.started is not None]
    others = taken_over(results)
    if not shown:
        return Picture("timeline", question, f"No worker has begun yet. {others}".rstrip())
    workers = list(dict.fromkeys(attempt.worker or "unknown" for attempt in shown))
    figure = _figure(results, shown, workers, now)
    failed = [attempt for attempt in shown if attempt.has_failed]
    tables = [_attempts(shown, now)]
    answer = f"{_answer(shown, workers, failed, now)} {others}".rstrip()
    return Picture("timeline", question, answer, figure, tables)


def _figure(
    results: Results, shown: Sequence[TrialResult], workers: Sequence[str], now: datetime
) -> go.Figure:
    rows = {worker: index for index, worker in enumerate(workers)}
    zone = zone_at(min(map(_started, shown)))
    failed = [attempt for attempt in shown if attempt.has_failed]
    labelled = 0 < len(failed) <= MOST_LABELLED and len(workers) <= MOST_ROOMY
    tall = ROOM if labelled else max(6, min(34, 900 // len(workers)))
    figure = panels([""], height=max(70, tall * len(workers)))
    for state, (shade, pattern) in STYLES.items():
        ours = [attempt for attempt in shown if _state(attempt) == state]
        if not ours:
            continue
        figure.add_bar(
            orientation="h",
            base=[on_axis(_started(attempt), zone) for attempt in ours],
            x=[round(1000 * _seconds(attempt, now)) for attempt in ours],
            y=[rows[attempt.worker or "unknown"] for attempt in ours],
            width=0.55 if labelled else 0.8,
            customdata=[[attempt.number, attempt.cell, _words(results, attempt, now)] for attempt in ours],
            name=f"{state}, {len(ours):,}",
            showlegend=True,
            marker={
                "color": colour(shade),
                "pattern": PATTERN | {"shape": pattern},
                "line": {"color": colour("paper"), "width": 1 if len(shown) < 300 else 0.3},
            },
            hovertemplate="trial %{customdata[0]}, cell %{customdata[1]}<br>%{customdata[2]}<extra></extra>",
        )
    _mark_failures(figure, failed, rows, now, zone, labelled=labelled)
    figure.layout.xaxis.update(type="date", nticks=4, tickangle=0, title={"text": str(zone)})
    figure.layout.yaxis.update(
        range=[len(workers) - 0.5, -0.5],
        tickvals=list(range(len(workers))),
        ticktext=[_short(worker) for worker in workers],
        showgrid=False,
        automargin=True,
    )
    figure.update_layout(barmode="overlay")
    return finish(figure)


def _mark_failures(
    figure: go.Figure,
    failed: Sequence[TrialResult],
    rows: dict[str, int],
    now: datetime,
    zone: timezone,
    *,
    labelled: bool,
) -> None:
    """Add a mark where each failure ended; each class has its own."""
    by_name: dict[str, list[TrialResult]] = {}
    for attempt in failed:
        by_name.setdefault(plain((attempt.failure or {})["class"]), []).append(attempt)
    for index, (name, ours) in enumerate(by_name.items()):
        figure.add_scatter(
            x=[on_axis(attempt.ended or now, zone) for attempt in ours],
            y=[rows[attempt.worker or "unknown"] for attempt in ours],
            mode="markers+text" if labelled else "markers",
            text=[f"<b>{name}</b>"] * len(ours),
            textposition="top center",
            textfont={"color": colour("ink"), "size": 11},
            cliponaxis=False,
            customdata=[attempt.number for attempt in ours],
            marker={"symbol": MARKS[index % len(MARKS)], "size": 10, "color": colour("ink")}
            | {"line": {"color": colour("ink"), "width": 2}},
            name=f"failed: {name}, {len(ours):,}",
            showlegend=True,
            hovertemplate="trial %{customdata} failed: %{text}<extra></extra>",
        )


def _state(attempt: TrialResult) -> str:
    if attempt.was_extended:
        return EXTENDED
    return "silent" if attempt.state == State.RUNNING and attempt.stale else attempt.state


def _class_of_failure(attempt: TrialResult) -> str:
    return f": {first_line((attempt.failure or {})['class'])}" if attempt.has_failed else ""


def _seconds(attempt: TrialResult, now: datetime) -> float:
    # The database's clock and ours may differ.
    return max(((attempt.ended or now) - _started(attempt)).total_seconds(), 0.0)


def _words(results: Results, attempt: TrialResult, now: datetime) -> str:
    parts = [
        plain(worded(results, attempt.parameters)),
        f"{_state(attempt)}, {duration(_seconds(attempt, now))}",
    ]
    if attempt.failure is not None:
        kind = f"{plain(attempt.failure['class'])}: " if attempt.has_failed else ""
        parts.append(f"{kind}{plain(attempt.failure['reason'])}")
    return "<br>".join(parts)


def _started(attempt: TrialResult) -> datetime:
    assert attempt.started is not None  # others are not shown
    return attempt.started


def _short(worker: str) -> str:
    """The end of a worker's name, where names differ."""
    return plain(shortened(worker, 18))


def _answer(
    shown: Sequence[TrialResult], workers: Sequence[str], failed: Sequence[TrialResult], now: datetime
) -> str:
    first = min(map(_started, shown))
    last = max(attempt.ended or now for attempt in shown)
    busy = sum(_seconds(attempt, now) for attempt in shown)
    wall = max((last - first).total_seconds(), 1e-9)
    said = (
        f"{len(shown):,} attempts by {len(workers):,} worker{'s' if len(workers) > 1 else ''} in "
        f"{duration(wall)}; on average {busy / wall:.1f} of them trained at the same time. "
    )
    return said + (
        f"{len(failed):,} attempts failed: {by_class(failed)}." if failed else "No attempt failed."
    )


def _attempts(shown: Sequence[TrialResult], now: datetime) -> Table:
    rows = [
        [
            str(attempt.number),
            str(attempt.cell),
            attempt.worker or "unknown",
            _state(attempt) + _class_of_failure(attempt),
            local_time(_started(attempt)),
            duration(_seconds(attempt, now)),
        ]
        for attempt in shown
    ]
    return table(["trial", "cell", "worker", "state", "began", "took"], rows, "first")
