"""A study and a verification as tables for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.text import Text

from mnist_tune.jobs.metric import Metric, words
from mnist_tune.results.candidates import EndedEarly
from mnist_tune.results.evidence import seeds_of
from mnist_tune.results.ranking import Place
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import State, TrialResult
from mnist_tune.spec.axes import Interval
from mnist_tune.spec.conditions import SEED, Value
from mnist_tune.terminal.compact_table import compact_table
from mnist_tune.text.speeds import speed
from mnist_tune.text.wording import clock, duration, first_line, parameter

if TYPE_CHECKING:
    from mnist_tune.verification import Verification

SYMBOLS = {State.RUNNING: "▶", State.FAILED: "✗", State.COMPLETE: "✓", State.PRUNED: "✂", State.WAITING: "·"}
"""The symbol of each state of an attempt."""
MOST_ENDED_EARLY = 10
"""How many pruned configurations are listed below the ranking: those with the most epochs."""
ROOM_FOR_METRICS = 100
"""The least width of a terminal, in columns, for a ranking with all metrics."""


@dataclass(frozen=True)
class _Column:
    """A column of the ranking: its title, and its cell in a row.

    No two columns are told apart by their titles: a metric may have the name of a field.
    """

    title: str
    of_place: Callable[[Place], str]
    of_ended: Callable[[EndedEarly], str] = lambda _: ""
    is_detail: bool = False
    """Whether it is left out where there is little room."""
    is_text: bool = False
    """Whether its cells may be broken into lines; numbers are never cut."""


def ranking(results: Results, width: int = ROOM_FOR_METRICS) -> RenderableType:
    """The configurations of the completed cells, best first; metrics and times are means over seeds.

    Below them are those that were pruned, with their objective at that time.
    """
    columns = [each for each in _columns(results) if width >= ROOM_FOR_METRICS or not each.is_detail]
    rows = [[column.of_place(place) for column in columns] for place in results.ranking]
    pruned = results.ended_early[:MOST_ENDED_EARLY]
    rows += [[column.of_ended(one) for column in columns] for one in pruned]
    table = compact_table(*(column.title for column in columns))
    for drawn, column, cells in zip(table.columns, columns, zip(*rows, strict=True), strict=True):
        if not column.is_text:
            drawn.min_width = max(drawn.min_width or 0, *map(cell_len, cells))
    for row in rows:
        table.add_row(*row)
    return table


def _columns(results: Results) -> Iterator[_Column]:
    """The columns of the ranking in their order."""
    job = results.job
    has_seeds = any(max(place.candidate.n, place.candidate.n_wanted) > 1 for place in results.ranking)
    yield _Column("rank", lambda place: str(place.rank))
    if not has_seeds:
        yield _Column(
            "trial", lambda place: str(place.candidate.first.number), lambda one: str(one.pruned[0].number)
        )
    yield from (_field(name, axis) for name, axis in results.spec.search.axes.items() if name != SEED)
    yield _Column(
        words(job.objective), lambda place: job.text(place.candidate.mean), lambda one: job.text(one.mean)
    )
    if has_seeds:
        yield _Column(
            "seeds",
            lambda place: seeds_of(place.candidate),
            lambda one: str(len(one.complete) + len(one.pruned)),
        )
        yield _Column("standard error", lambda place: job.of_objective.number(place.candidate.standard_error))
    yield from (_other(job.metric(name), name) for name in results.metrics[-2::-1])
    yield _Column(
        "time",
        lambda place: _time(list(place.candidate.attempts.values())),
        lambda one: _time(one.pruned),
    )
    if results.race is not None:
        yield _Column("behind by", results.interval, is_text=True)
    yield _Column("verdict", results.verdict, _pruned, is_text=True)


def _field(name: str, axis: list[Value] | Interval) -> _Column:
    """The column of a searched field."""
    return _Column(
        name,
        lambda place: parameter(place.candidate.parameters.get(name, "")),
        lambda one: parameter(one.parameters.get(name, "")),
        is_text=isinstance(axis, list) and any(isinstance(value, str) for value in axis),
    )


def _other(metric: Metric, name: str) -> _Column:
    """The column of a metric besides the objective: its mean over seeds after the last epoch."""

    def mean(place: Place) -> str:
        attempts = place.candidate.attempts.values()
        found = [attempt.history[-1][name] for attempt in attempts if attempt.history]
        known = [each for each in found if each is not None]
        return metric.text(fmean(known)) if known else ""

    return _Column(words(name), mean, is_detail=True)


def _pruned(one: EndedEarly) -> str:
    n = len(one.complete) + len(one.pruned)
    seeds = f", {len(one.pruned)} of {n} seeds" if n > 1 else ""
    return f"pruned after epoch {one.epochs}{seeds}"


def _time(attempts: Sequence[TrialResult]) -> str:
    """The time of all epochs of an attempt, as a mean over attempts; empty where it is not known."""
    times = [[epoch.seconds for epoch in attempt.history] for attempt in attempts]
    known = [[seconds for seconds in each if seconds is not None] for each in times]
    return clock(fmean(map(sum, known))) if known == times else ""


def workers_table(results: Results) -> RenderableType:
    """All workers: name, device, state, trial, speed, and when each was last heard of."""
    unit = [results.job.speed_unit] if results.job.unit else []
    table = compact_table("worker", "device", "state", "trial", *unit, "last beat")
    for worker in results.workers:
        table.add_row(
            first_line(worker.name),
            first_line(worker.device),
            f"{worker.state}: {first_line(worker.departure)}" if worker.departure else worker.state,
            "" if worker.trial is None else str(worker.trial),
            *(speed(worker.units_per_second) for _ in unit),
            f"{duration(worker.seconds_since_beat)} ago",
        )
    return table


def verification_report(verification: Verification) -> RenderableType:
    """Every check with its verdict, then the findings, line by line."""
    table = compact_table("check", "what is promised", "checked", "verdict")
    lines = []
    for outcome in verification.outcomes:
        checked = "" if outcome.checked is None else f"{outcome.checked:,}"
        table.add_row(outcome.check, outcome.promise, checked, outcome.verdict)
        for finding in outcome.findings:
            lines.append(f"{outcome.kind}: {outcome.check}: {first_line(str(finding))}")
    return Group(table, *map(Text, lines), Text(verification.verdict))
