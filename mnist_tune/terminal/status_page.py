"""A study on one page: the most interesting cells, the ranking, and what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text

from mnist_tune.jobs.metric import WIDEST
from mnist_tune.results.candidates import EndedEarly
from mnist_tune.results.evidence import seeds_of
from mnist_tune.results.imported import told
from mnist_tune.results.ranking import Place
from mnist_tune.results.standing import totals
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import State, TrialResult
from mnist_tune.spec.conditions import SEED
from mnist_tune.spec.study_spec import SETTINGS, Spec
from mnist_tune.terminal.column_layout import Column, fit
from mnist_tune.terminal.events import conclusion
from mnist_tune.terminal.glyphs import Pen
from mnist_tune.terminal.race_lines import INTERVAL, WIDEST_INTERVAL
from mnist_tune.terminal.trial_table import attempt_lines, axis_column, heading
from mnist_tune.text.wording import counted, first_line, setting

MOST_CELLS = 20
"""The most lines of cells, unless every attempt is asked for."""
MOST_RANKED = 10
MOST_NAMED = 5
"""How many failures are told one by one: the last ones."""

Ranked = Place | EndedEarly


def status_page(results: Results, pen: Pen, width: int, *, everything: bool = False) -> Iterator[Text]:
    """The lines of the page; `everything` shows each attempt, each rank and each failure."""
    shown = results.attempts if everything else _chosen(results)
    of, what = (results.attempts, "attempt") if everything else (results.latest, "cell")
    yield from attempt_lines(results, pen, width, shown, of, what)
    if results.ranking or results.ended_early:
        yield Text()
        yield from _ranking(results, pen, width, None if everything else MOST_RANKED)
    yield Text()
    yield from (Text(pen.text(line)) for line in summary(results, everything=everything))


def summary(results: Results, *, everything: bool = False) -> Iterator[str]:
    """The study's progress, failures, problems and evidence, and what to do next."""
    yield f"{results.name}: {totals(results)}"
    if settings := _changed_settings(results.spec):
        yield f"settings: {settings}"
    revisions = [one for one in results.spec.search.revisions or [] if not one.closed]
    for one in revisions if everything else revisions[-MOST_NAMED:]:
        yield f"{'grown' if one.race is None else 'judged'} at {one.when} by {one.version}: {one.told}"
    if elsewhere := told(results.imported, results.job):
        yield f"imported: {elsewhere}"
    yield from _going_on(results, everything)
    yield from _failures(results, everything)
    yield from conclusion(results, most=None if everything else MOST_RANKED)


def _chosen(results: Results) -> list[TrialResult]:
    """All cells in their order or, if there are too many: running ones, holes, the best, the last to end."""
    latest = results.latest
    if len(latest) <= MOST_CELLS:
        return sorted(latest, key=lambda attempt: attempt.cell)
    best = list(results.best.attempts.values()) if results.best else []
    running = [attempt for attempt in latest if attempt.state == State.RUNNING]
    ended = [
        attempt for attempt in latest if attempt.state in (State.COMPLETE, State.PRUNED) and attempt.ended
    ]
    ended.sort(key=lambda attempt: (attempt.ended, attempt.number), reverse=True)
    # No kind takes more than a third of the lines, so that the others are seen too.
    third = MOST_CELLS // 3
    first = [*running[:third], *results.holes[:third], *best[:third]]
    in_order = {attempt.number: attempt for attempt in [*first, *running, *results.holes, *ended]}
    return sorted(list(in_order.values())[:MOST_CELLS], key=_by_state)


def _by_state(attempt: TrialResult) -> tuple[int, int]:
    states = (State.RUNNING, State.FAILED, State.COMPLETE, State.PRUNED, State.WAITING)
    return states.index(attempt.state), attempt.number


def _ranking(results: Results, pen: Pen, width: int, most: int | None) -> Iterator[Text]:
    n_wanted = max((place.candidate.n_wanted for place in results.ranking), default=1)
    several = max((place.candidate.n for place in results.ranking), default=1) > 1 or n_wanted > 1
    axes = {name: axis for name, axis in results.spec.search.axes.items() if name != SEED}
    ranked: Sequence[Ranked] = [*results.ranking, *results.ended_early]
    metric = results.job.of_objective

    def value(item: Ranked, _: int) -> str:
        return pen.text(metric.text(_mean(item)))

    def error(item: Ranked, _: int) -> str:
        return metric.number(_error(item))

    def interval(item: Ranked, _: int) -> str:
        return pen.text(results.interval(item)) if isinstance(item, Place) else ""

    columns: list[Column[Ranked]] = [
        Column("rank", 0, len(str(len(results.ranking))), _rank, right=True),
        *(axis_column(name, axis, _parameters) for name, axis in axes.items()),
        Column(heading(results.job.objective), 1, metric.room, value, right=True),
        *([Column("standard\nerror", 6, WIDEST, error, right=True)] if several else []),
        *([Column("seeds", 3, len(f"{n_wanted} of {n_wanted}"), _seeds, right=True)] if several else []),
        *([Column("trial", 5, len(str(results.spec.n_cells)), _trial, right=True)] if not several else []),
        *([Column(INTERVAL, 4, WIDEST_INTERVAL, interval)] if results.race is not None else []),
        Column("verdict", 2, 22, lambda item, _: pen.text(_verdict(results, item))),
    ]
    layout = fit(columns, width)
    yield from layout.head()
    shown = ranked[:most]
    yield from (layout.row(one, "" if isinstance(one, Place) else "dim") for one in shown)
    if len(shown) < len(ranked):
        yield Text(f"... and {counted(len(ranked) - len(shown), 'more configuration')}", style="dim")


def _parameters(item: Ranked) -> dict[str, Any]:
    return item.candidate.parameters if isinstance(item, Place) else item.parameters


def _rank(item: Ranked, _: int) -> str:
    return str(item.rank) if isinstance(item, Place) else ""


def _mean(item: Ranked) -> float | None:
    return item.candidate.mean if isinstance(item, Place) else item.mean


def _error(item: Ranked) -> float | None:
    return item.candidate.standard_error if isinstance(item, Place) else None


def _seeds(item: Ranked, _: int) -> str:
    return seeds_of(item.candidate) if isinstance(item, Place) else str(len(item.complete + item.pruned))


def _trial(item: Ranked, _: int) -> str:
    return str(item.candidate.first.number if isinstance(item, Place) else item.pruned[0].number)


def _verdict(results: Results, item: Ranked) -> str:
    return results.verdict(item) if isinstance(item, Place) else f"pruned after epoch {item.epochs}"


def _going_on(results: Results, everything: bool) -> Iterator[str]:
    """How many cells are on their way to more epochs, and what they had reached before."""
    extended = {attempt.cell: attempt for attempt in results.attempts if attempt.was_extended}
    unfinished = (State.WAITING, State.RUNNING)
    ahead = [extended[one.cell] for one in results.latest if one.cell in extended and one.state in unfinished]
    if values := [results.job.counted_value(one.objective_values) for one in ahead if one.objective_values]:
        n, job = len(ahead), results.job
        yield (
            f"more epochs: {counted(n, 'cell')} that had ended {'goes' if n == 1 else 'go'} on to "
            f"{results.spec.training.epochs}; the best of them had {job.text(job.best(values))} before"
        )
    for attempt in extended.values() if everything else ():
        yield f"trial {attempt.number} was extended: {first_line((attempt.failure or {})['reason'])}"


def _failures(results: Results, everything: bool) -> Iterator[str]:
    """Why attempts failed, one line each for the last; `conclusion` tells of cells that failed for good."""
    holes = {attempt.number for attempt in results.holes}
    failed = [one for one in results.attempts if one.has_failed and one.number not in holes]
    shown = failed if everything else failed[-MOST_NAMED:]
    if earlier := failed[: len(failed) - len(shown)]:
        kinds = Counter(first_line((attempt.failure or {})["class"]) for attempt in earlier)
        classes = ", ".join(f"{number:,} {kind}" for kind, number in kinds.most_common())
        yield f"{counted(len(earlier), 'earlier attempt')} failed: {classes}; --all names each"
    for attempt in shown:
        kind, reason = (first_line((attempt.failure or {})[key]) for key in ("class", "reason"))
        yield f"trial {attempt.number} failed: {kind}: {reason}"


def _changed_settings(spec: Spec) -> str:
    """The fields of the tables of settings that differ from their default; empty if none do."""
    return ", ".join(
        f"{table}.{key}={setting(value)}"
        for table in SETTINGS
        for key, value in getattr(spec, table).model_dump().items()
        if value != type(getattr(spec, table)).model_fields[key].default
    )
