"""How much all workers together trained per second, over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from mnist_tune.jobs.description import JobDescription
from mnist_tune.report.panels import finish, panels
from mnist_tune.report.section import Picture, Table, table
from mnist_tune.report.taken_over import ran_here
from mnist_tune.report.theme import colour
from mnist_tune.results.eta import own_epochs
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import State, TrialResult
from mnist_tune.text.speeds import speed
from mnist_tune.text.times import on_axis, zone_at
from mnist_tune.text.wording import duration

BINS = 200
Span = tuple[float, float, float]
"""Begin and end of an epoch, in seconds after the first start, and its units per second."""


def throughput(results: Results) -> Picture:
    """The picture of the job's units per second, summed over workers."""
    question = "How fast did it go?"
    job = results.job
    unit, rate = job.unit, job.rate
    if unit is None or rate is None:
        why = "The job does not say what an epoch goes through (its unit), so that no speed is known."
        return Picture("throughput", question, why)
    attempts = ran_here(results)
    first = min((attempt.started for attempt in attempts if attempt.started), default=None)
    spans = [] if first is None else [span for attempt in attempts for span in _spans(attempt, first, rate)]
    if first is None or not spans:
        is_begun = any(own_epochs(attempt) for attempt in attempts)
        why = f"The job has not reported how many {unit} its epochs went through." if is_begun else ""
        return Picture("throughput", question, why or "No epoch is done yet.")
    begin, end = min(span[0] for span in spans), max(span[1] for span in spans)
    width = max(end - begin, 1e-9) / BINS
    rates = _rates(spans, begin, width)
    times = [first + timedelta(seconds=begin + width * index) for index in range(BINS + 1)]
    zone = zone_at(first)
    figure = panels([""], height=240)
    figure.add_scatter(
        x=[on_axis(time, zone) for time in times],
        y=[float(f"{rate:.6g}") for rate in [*rates, rates[-1]]],
        text=[job.speed(rate) for rate in [*rates, rates[-1]]],
        mode="lines",
        line={"shape": "hv", "color": colour("tied"), "width": 2},
        fill="tozeroy",
        fillcolor=colour("raised"),
        showlegend=False,
        hovertemplate="%{x}: %{text}<extra></extra>",
    )
    figure.layout.xaxis.update(type="date", nticks=4, tickangle=0, title={"text": str(zone)})
    figure.layout.yaxis.update(rangemode="tozero", title={"text": f"{job.speed_unit}, all workers"})
    total = sum((until - since) * per_second for since, until, per_second in spans)
    answer = (
        f"{total:,.0f} training {unit} in {duration(end - begin)}: {job.speed(total / (end - begin or 1))} "
        "on average, all workers together, validation included. "
        "Epochs that were begun and lost are not in it."
    )
    return Picture("throughput", question, answer, finish(figure), [_by_worker(attempts, job, rate)])


def _spans(attempt: TrialResult, first: datetime, rate: str) -> Iterator[Span]:
    """The epochs that the attempt ran itself, without those of an earlier attempt in its history.

    Only the lengths of epochs are stored. A finished attempt ended with its last epoch; for any other, the
    epochs are counted from its start.
    """
    epochs = _timed(attempt, rate)
    if not epochs or attempt.started is None:
        return
    at = (attempt.started - first).total_seconds()
    if attempt.state in (State.COMPLETE, State.PRUNED) and attempt.ended is not None:
        at = (attempt.ended - first).total_seconds() - sum(seconds for seconds, _ in epochs)
    for seconds, per_second in epochs:
        yield at, at + seconds, per_second
        at += seconds


def _timed(attempt: TrialResult, rate: str) -> list[tuple[float, float]]:
    """Seconds and speeds of the epochs that the attempt ran itself, where they are known."""
    found = ((epoch.seconds, epoch[rate]) for epoch in own_epochs(attempt))
    return [(took, fast) for took, fast in found if took is not None and fast is not None]


def _rates(spans: list[Span], begin: float, width: float) -> list[float]:
    """The mean rate of each bin: the area under the curve is the number of units."""
    edges = [begin + width * index for index in range(BINS + 1)]
    rates = [0.0] * BINS
    bins = list(pairwise(edges))
    for since, until, rate in spans:
        low = max(min(int((since - begin) / width), BINS - 1), 0)
        high = max(min(int((until - begin) / width), BINS - 1), 0)
        for index in range(low, high + 1):
            left, right = bins[index]
            rates[index] += rate * max(min(until, right) - max(since, left), 0.0) / width
    return rates


def _by_worker(attempts: Sequence[TrialResult], job: JobDescription, rate: str) -> Table:
    trained: dict[str, float] = {}
    seconds: dict[str, float] = {}
    for attempt in attempts:
        worker = attempt.worker or "unknown"
        for took, per_second in _timed(attempt, rate):
            trained[worker] = trained.get(worker, 0.0) + per_second * took
            seconds[worker] = seconds.get(worker, 0.0) + took
    rows = [
        [
            worker,
            f"{trained[worker]:,.0f}",
            duration(seconds[worker]),
            speed(trained[worker] / (seconds[worker] or 1)),
        ]
        for worker in sorted(trained, key=lambda worker: -trained[worker])
    ]
    return table(["worker", job.unit or "", "time in epochs", job.speed_unit], rows, "busiest")
