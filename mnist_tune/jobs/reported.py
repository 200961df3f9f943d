"""Checks the metrics that a job reports after an epoch."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from mnist_tune.jobs.description import MOST_METRICS, JobDescription
from mnist_tune.jobs.interface import JobMistake, NonFiniteMetric
from mnist_tune.jobs.metric import SECONDS, is_name, is_taken, plain_number, words
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.text.visible import visible


def reported_epoch(
    job: JobDescription,
    epoch: int,
    metrics: Mapping[str, Any],
    seconds: float,
    where: str = "trial.report",
    *,
    is_validated: bool = True,
) -> EpochMetrics:
    """The epoch with these metrics, which took so many seconds; `where` they were reported.

    The objective may be missing if the epoch is not validated.

    Raises:
        JobMistake: a metric is no number, is not among those of the job, or the objective is missing.
        NonFiniteMetric: a metric is inf or nan.
    """
    found = _checked(job, epoch, metrics, where)
    if is_validated and job.objective not in found:
        raise JobMistake(f"{where}: '{job.objective}', the job's objective, is missing")
    if job.unit is not None and job.rate is not None and job.unit in found:
        count = found.pop(job.unit)
        if count < 0:
            raise JobMistake(f"{where}: {job.unit} = {count:g} is a count, which is not negative")
        found[job.rate] = count / seconds if seconds else 0.0
    return EpochMetrics(epoch, {**found, SECONDS: seconds})


def _checked(job: JobDescription, epoch: int, metrics: Mapping[str, Any], where: str) -> dict[str, float]:
    found: dict[str, float] = {}
    if len(metrics) > MOST_METRICS:
        raise JobMistake(f"{where}: has {len(metrics)} metrics, more than {MOST_METRICS}")
    for name, value in metrics.items():
        if not is_name(name):
            raise JobMistake(
                f"{where}: '{visible(name[:60])}' is no name of a metric; take letters, digits and "
                "underscores, 60 at most"
            )
        if name != job.unit and job.only_declared and name not in job.metrics:
            known = ", ".join(job.metrics)
            raise JobMistake(f"{where}: '{name}' is none of the job's metrics, which are {known}")
        if is_taken(name):
            raise JobMistake(f"{where}: '{name}' has another meaning; give it another name")
        found[name] = _number(name, value, where)
        if not math.isfinite(found[name]):
            raise NonFiniteMetric(f"{words(name)} is {found[name]} in epoch {epoch}")
        if not job.metric(name).holds(found[name]):
            raise JobMistake(f"{where}: {name} = {found[name]:g} is outside the limits of the metric")
    return found


def _number(name: str, value: Any, where: str) -> float:
    """A metric as a float: any real number, or a tensor with one element."""
    with suppress(ValueError):
        value = plain_number(value)
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    raise JobMistake(f"{where}: {name} should be a number, not {type(value).__name__}")
