"""Numbers in the headline of what was measured on test data, and of a result that is known from elsewhere."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mnist_tune.jobs.description import Binomial, JobDescription, Reference
from mnist_tune.jobs.metric import Metric, words
from mnist_tune.models.evaluation_file import Evaluated
from mnist_tune.results.confirmation import Confirmation
from mnist_tune.results.intervals import Reading, read
from mnist_tune.results.significance import Measure
from mnist_tune.results.study_results import Results


@dataclass(frozen=True)
class Figure:
    """One big number, with its interval and an explanation."""

    label: str
    value: str
    interval: str
    words: str


def seeds_in_words(n: int) -> str:
    """How many seeds a number is the mean of."""
    return f"mean of {n} seeds" if n > 1 else "one seed"


def reference_of(results: Results) -> Reference | None:
    """The result that is known for the study's job and its data."""
    reference = results.job.reference
    if reference is None:
        return None
    return reference if all(data_field(results, name) == at for name, at in reference.data.items()) else None


def data_field(results: Results, name: str) -> object:
    """A field of the study's table [data]; one that its spec does not name has the job's default."""
    described = results.job.options.get(name)
    return getattr(results.spec.data, name, described and described.default)


def reference_figure(reference: Reference, job: JobDescription) -> Figure:
    """The reference result."""
    metric = job.metric(job.on_test_data(reference.metric))
    name = f"reference, test {words(reference.metric)}"
    return Figure(name, metric.text(reference.value), "one run", reference.words)


def test_figure(models: Sequence[Evaluated], results: Results) -> Figure:
    """The first metric of the winner's models on test data."""
    first, job = models[0], results.job
    name, _ = first.evaluation.first
    metric = job.metric(job.on_test_data(name))
    values = [model.evaluation.metrics[name] for model in models]
    wrong = [str(model.folder) for model in models if not math.isfinite(model.evaluation.metrics[name])]
    measure = _measure(first, results, name)
    reading = None if wrong else read(values, measure, first.evaluation.cases)
    label = f"test {words(name)}, {seeds_in_words(len(models))}"
    trained = f"Trained on {first.trained_on:,} {job.unit}. " if first.trained_on is not None else ""
    if wrong:
        mean = metric.text(statistics.fmean(values))
        return Figure(label, mean, "no interval", f"The result of {', '.join(wrong)} is no number.")
    if reading is None:
        why = "How much another seed would change is not known: measure models of more seeds."
        return Figure(label, metric.text(first.evaluation.metrics[name]), "one run", f"{trained}{why}")
    return Figure(
        label,
        metric.text(reading.value),
        f"95 % interval {metric.number(reading.low)} to {metric.text(reading.high)}",
        f"{spread_of(reading, metric)}{trained}The interval covers {reading.covers}."
        + _beside_the_reference(models, reading, results, name),
    )


def confirmed_figure(confirmation: Confirmation) -> Figure:
    """The mean of a confirmation that has values; it says what `Confirmation.told` says."""
    job, n = confirmation.spec.description, len(confirmation.values)
    reading, metric = confirmation.reading, confirmation.metric
    label = f"{words(job.objective)}, {seeds_in_words(n)}"
    how = f"'{confirmation.study}': trained on all data, each model measured once on test data. "
    if reading is None:
        value = next(iter(confirmation.values.values()))
        return Figure(label, metric.text(value), "one run", f"{how}One seed tells nothing of its luck.")
    interval = f"95 % interval {metric.number(reading.low)} to {metric.text(reading.high)}"
    said = f"{how}{spread_of(reading, metric)}The interval covers {reading.covers}."
    return Figure(label, metric.text(reading.value), interval, said)


def spread_of(reading: Reading, metric: Metric) -> str:
    """The standard deviation between seeds as a sentence; empty for a single seed."""
    if reading.deviation is None:
        return ""
    deviation = metric.difference(metric.number(reading.deviation))
    return f"Standard deviation {deviation}, n = {reading.n_seeds}. "


def _measure(model: Evaluated, results: Results, name: str) -> Measure:
    """How uncertain one measurement is: as the objective's, if it is the same on other data."""
    measure, job = results.measure, results.job
    if job.on_test_data(name) != job.objective:
        return Measure(measure.sign)
    is_share = isinstance(job.noise, Binomial)
    return replace(measure, n_cases=model.evaluation.n_cases if is_share else None)


def _beside_the_reference(models: Sequence[Evaluated], reading: Reading, results: Results, name: str) -> str:
    """Compares a run with the interval for one more run, not with the mean; empty for others than its own."""
    reference = reference_of(results)
    if reference is None or reading.next_run is None or reference.metric != name:
        return ""
    training = models[0].configuration.training
    if any(getattr(training, field, None) != value for field, value in reference.training.items()):
        return ""
    low, high = reading.next_run
    metric = results.job.metric(results.job.on_test_data(name))
    where = "within" if low <= reference.value <= high else "outside"
    return (
        f" One more run of this configuration would fall between {metric.number(low)} and "
        f"{metric.text(high)} (95 %); the reference, one run, is {where} that."
    )
