"""A study, a model and a verification as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from mnist_tune.jobs.metric import Metric, words
from mnist_tune.jobs.mnist.image_sets import MNIST, ImageSet
from mnist_tune.results.candidates import SEED, EndedEarly
from mnist_tune.results.evidence import seeds_of
from mnist_tune.results.ranking import Place
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import State, TrialResult
from mnist_tune.terminal.compact_table import compact_table
from mnist_tune.text.wording import clock, duration, first_line, parameter, percent, speed

if TYPE_CHECKING:
    from mnist_tune.jobs.metrics import Evaluation
    from mnist_tune.verification import Verification

SYMBOLS = {State.RUNNING: "▶", State.FAILED: "✗", State.COMPLETE: "✓", State.PRUNED: "✂", State.WAITING: "·"}
"""The symbol of each state of an attempt."""
MOST_ENDED_EARLY = 10
"""How many pruned configurations are listed below the ranking: those with the most epochs."""
ROOM_FOR_METRICS = 100
"""The least width of a terminal, in columns, for a ranking with all metrics."""


def ranking(results: Results, width: int = ROOM_FOR_METRICS) -> RenderableType:
    """The configurations of the completed cells, best first; metrics and times are means over seeds.

    Below them are those that were pruned, with their objective at that time.
    """
    has_seeds = any(max(place.candidate.n, place.candidate.n_wanted) > 1 for place in results.ranking)
    fields = [name for name in results.spec.search.axes if name != SEED]
    rows = [_place(results, place, fields, has_seeds) for place in results.ranking]
    hidden = set() if width >= ROOM_FOR_METRICS else set(map(words, _others(results)))
    columns = [name for name in rows[0] if name not in hidden]
    rows += [_ended_early(results, one, fields) for one in results.ended_early[:MOST_ENDED_EARLY]]
    table = compact_table(*columns)
    for row in rows:
        table.add_row(*(row.get(name, "") for name in columns))
    return table


def _ended_early(results: Results, one: EndedEarly, fields: list[str]) -> dict[str, str]:
    n = len(one.complete) + len(one.pruned)
    seeds = f", {len(one.pruned)} of {n} seeds" if n > 1 else ""
    return {
        "trial": str(one.pruned[0].number),
        **{name: parameter(one.parameters.get(name, "")) for name in fields},
        words(results.job.objective): results.job.text(one.mean),
        "seeds": str(n),
        "time": _time(one.pruned),
        "verdict": f"pruned after epoch {one.epochs}{seeds}",
    }


def _time(attempts: Sequence[TrialResult]) -> str:
    """The time of all epochs of an attempt, as a mean over attempts; empty where it is not known."""
    times = [[epoch.seconds for epoch in attempt.history] for attempt in attempts]
    known = [[seconds for seconds in each if seconds is not None] for each in times]
    return clock(fmean(map(sum, known))) if known == times else ""


def _others(results: Results) -> list[str]:
    """The metrics besides the objective, the last ones first."""
    return results.metrics[-2::-1]


def _mean(metric: Metric, values: Iterable[float | None]) -> str:
    known = [each for each in values if each is not None]
    return metric.text(fmean(known)) if known else ""


def _place(results: Results, place: Place, fields: list[str], has_seeds: bool) -> dict[str, str]:
    candidate, job = place.candidate, results.job
    attempts = list(candidate.attempts.values())
    last = [attempt.history[-1] for attempt in attempts if attempt.history]
    error = candidate.standard_error
    one = {} if has_seeds else {"trial": str(candidate.first.number)}
    several = {"seeds": seeds_of(candidate), "standard error": job.of_objective.number(error)}
    others = {
        words(name): _mean(job.metric(name), [each[name] for each in last]) for name in _others(results)
    }
    return {
        "rank": str(place.rank),
        **one,
        **{name: parameter(candidate.parameters.get(name, "")) for name in fields},
        words(job.objective): job.text(candidate.mean),
        **(several if has_seeds else {}),
        **others,
        "time": _time(attempts),
        "verdict": results.verdict(place),
    }


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


def evaluation_tables(evaluation: Evaluation, images: ImageSet) -> RenderableType:
    """Test accuracy, accuracy per class, and the confusion matrix."""
    n = range(len(evaluation.confusion_matrix))
    table = compact_table(f"true {images.one_class}", "accuracy", *(f"read as {number}" for number in n))
    for number, counts in enumerate(evaluation.confusion_matrix):
        accuracy = percent(evaluation.per_class_accuracy[number])
        table.add_row(images.label(number), accuracy, *map(str, counts))
    of = "" if images is MNIST else f" of {images.name}"
    headline = (
        f"test accuracy {percent(evaluation.accuracy)} on {evaluation.n_images:,} images{of}, "
        f"loss {evaluation.loss:.4f}"
    )
    return Group(table, Text(headline))


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
