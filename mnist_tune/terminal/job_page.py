"""A job on one page: what it reports, and what may be set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType

from mnist_tune.jobs.description import Binomial, JobDescription, Normal, Source
from mnist_tune.jobs.fields import Fields, JobField
from mnist_tune.jobs.metric import Metric
from mnist_tune.terminal.compact_table import compact_table
from mnist_tune.text.wording import first_line

LIMITS = {
    "gt": "above {}",
    "ge": "at least {}",
    "lt": "below {}",
    "le": "at most {}",
    "multiple_of": "a multiple of {}",
    "min_length": "at least {} characters",
    "max_length": "at most {} characters",
    "pattern": "matches {}",
}
"""Pydantic's names of limits, in words."""
NO_DEFAULT = "must be given"
EPOCHS = {"last": "the last epoch counts", "best": "the best epoch counts"}


def job_page(job: JobDescription, *, as_tables: bool) -> Iterator[str | RenderableType]:
    """The job's own lines, then a row for each hyperparameter and each option of its data."""
    yield f"job {job.name}"
    yield f"objective: {job.objective}, {job.direction}; {EPOCHS[job.objective_epoch]}"
    for name, metric in job.metrics.items():
        yield f"metric: {', '.join([name, *_of_metric(metric)])}"
    if not job.only_declared:
        yield "metrics: whatever it reports"
    if job.unit is not None:
        yield f"unit: {job.unit}"
    if job.noise is not None:
        yield f"noise: {_noise(job.noise)}"
    if job.more_epochs is not None:
        yield f"more epochs: {_more_epochs(job.more_epochs)}"
    for table, fields in (("training", job.fields), ("data", job.options)):
        if fields:
            yield from _in_a_table(table, fields) if as_tables else _in_lines(table, fields)
    yield f"source: {_source(job.source)}"


def _in_a_table(name: str, fields: Fields) -> Iterator[RenderableType]:
    table = compact_table(f"[{name}]", "type", "values", "default")
    for field in fields.values():
        table.add_row(field.name, _type(field), _values(field), _default(field))
    yield table


def _in_lines(name: str, fields: Fields) -> Iterator[str]:
    for field in fields.values():
        default = NO_DEFAULT if field.is_required else f"default {_default(field)}"
        parts = [_type(field), _values(field), default]
        yield f"{name}.{field.name}: {', '.join(filter(None, parts))}"


def _type(field: JobField) -> str:
    if field.choices is not None:
        return "choice"
    return field.type_name or "of the job's own type"


def _values(field: JobField) -> str:
    if field.choices is not None:
        return f"one of {', '.join(map(_shown, field.choices))}"
    if not field.is_searchable:
        return "cannot be searched"
    return ", ".join(LIMITS[name].format(_shown(limit)) for name, limit in field.limits.items())


def _default(field: JobField) -> str:
    return NO_DEFAULT if field.is_required else _shown(field.default)


def _shown(value: Any) -> str:
    """A value as one writes it in a spec, but for the quotes."""
    if isinstance(value, bool):
        return str(value).lower()
    return (
        f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else first_line(str(value))
    )


def _of_metric(metric: Metric) -> Iterator[str]:
    if metric.unit:
        yield f"in {metric.unit}"
    if metric.low is not None:
        yield f"at least {metric.low:g}"
    if metric.high is not None:
        yield f"at most {metric.high:g}"


def _noise(noise: Binomial | Normal) -> str:
    if isinstance(noise, Normal):
        return f"one value has a standard deviation of {noise.deviation:g}"
    cases = f"data.{noise.of}" if isinstance(noise.of, str) else f"{noise.of:,}"
    return f"a value is a percentage of {cases} {noise.cases}"


def _more_epochs(unless: Mapping[str, Sequence[Any]]) -> str:
    values = [f"{name} = {', '.join(map(str, some))}" for name, some in unless.items()]
    return ", but not with ".join(["a complete trial can go on", *filter(None, ["; ".join(values)])])


def _source(source: Source) -> str:
    commit = (
        source.git_commit and f"commit {source.git_commit}{' with changes' if source.is_modified else ''}"
    )
    sha256 = source.sha256 and f"SHA-256 {source.sha256}"
    return ", ".join(filter(None, (source.distribution, sha256, commit))) or "comes with mnist-tune"
