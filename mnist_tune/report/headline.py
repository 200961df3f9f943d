"""The winner in words: its configuration, its accuracies, and how certain they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mnist_tune.models.evaluation_file import Evaluated
from mnist_tune.report.section import Table, of_field, table, worded
from mnist_tune.results.candidates import SEED
from mnist_tune.results.evidence import seeds_of
from mnist_tune.results.exports import best_configuration
from mnist_tune.results.intervals import Reading, read
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import State
from mnist_tune.spec.documents import dump
from mnist_tune.text.wording import counted, percent

REFERENCE_TEST_ACCURACY = 98.94
"""Percent, of one run of the reference configuration."""
REFERENCE_RECIPE = {"learning_rate": 0.001, "batch_size": 64, "optimizer": "Adam", "epochs": 10}


@dataclass(frozen=True)
class Figure:
    """One big number, with its interval and an explanation."""

    label: str
    value: str
    interval: str
    words: str


@dataclass(frozen=True)
class Headline:
    """The top of the page. Without a winner, `configuration` is empty and `next_step` says what to do."""

    standing: str
    winner: str
    configuration: str
    numbers: Sequence[Figure]
    evidence: Sequence[str]
    next_step: str
    ranking: Table | None


def headline(results: Results, models: Sequence[Evaluated], storage: str) -> Headline:
    """The winner, or why there is none yet. `storage` is shown as it is given."""
    best = results.best
    if best is None:
        why = (
            "The pruner has ended at least one trial of each configuration"
            if results.ended_early
            else "No cell is complete yet"
        )
        return Headline(
            _standing(results), f"{why}: there is no winner.", "", [], results.evidence,
            f"mnist-tune worker {results.name}", None,
        )  # fmt: skip
    document = best_configuration(results, storage).model_dump(mode="json")
    validation = read(list(best.values.values()), results.spec.data.validation_size)
    numbers = [_validation(validation)]
    if models:
        numbers.append(_test(models))
    numbers.append(
        Figure(
            "reference, test accuracy",
            percent(REFERENCE_TEST_ACCURACY),
            "one run",
            "Learning rate 0.001, batch size 64, Adam, 10 epochs: a single run, so the luck of its seed is "
            "not known.",
        )
    )
    return Headline(
        _standing(results),
        worded(results, best.parameters),
        dump(document, "toml"),
        numbers,
        results.evidence,
        "" if models else _to_the_test_accuracy(results),
        _ranking(results),
    )


def _standing(results: Results) -> str:
    cells = results.cells
    if results.is_finished:
        done = f"Finished: {cells.complete:,} of {counted(cells.total, 'cell')} complete"
        done += f", {cells.pruned:,} pruned" if cells.pruned else ""
        return done + (f", {cells.failed:,} missing for good." if cells.failed else ".")
    parts = [f"{cells.complete:,} of {counted(cells.total, 'cell')} complete"]
    parts += [
        f"{count:,} {state}"
        for state, count in cells.in_states(State.PRUNED, State.RUNNING, State.WAITING, State.FAILED)
    ]
    return f"Not finished: {', '.join(parts)}."


def _seeds(reading: Reading) -> str:
    return f"mean of {reading.n_seeds} seeds" if reading.n_seeds > 1 else "one seed"


def _validation(reading: Reading) -> Figure:
    return Figure(
        f"validation accuracy, {_seeds(reading)}",
        percent(reading.value),
        _interval(reading),
        f"The interval covers {reading.covers}. The winner was chosen on these very images, so this is a "
        "little optimistic; the test accuracy is the fair figure.",
    )


def _test(models: Sequence[Evaluated]) -> Figure:
    first = models[0]
    reading = read([model.evaluation.accuracy for model in models], first.evaluation.n_images)
    spread = ""
    if reading.deviation is not None:
        spread = f"Standard deviation {reading.deviation:.2f} points, n = {reading.n_seeds}. "
    return Figure(
        f"test accuracy, {_seeds(reading)}",
        percent(reading.value),
        _interval(reading),
        f"{spread}Trained anew on {first.images_trained:,} images. The interval covers {reading.covers}."
        + _beside_the_reference(models, reading),
    )


def _beside_the_reference(models: Sequence[Evaluated], reading: Reading) -> str:
    """Compares a run with the interval for one more run, not with the mean; empty for other recipes."""
    training = models[0].configuration.training
    is_same = all(getattr(training, name) == value for name, value in REFERENCE_RECIPE.items())
    if reading.next_run is None or not is_same:
        return ""
    low, high = reading.next_run
    where = "within" if low <= REFERENCE_TEST_ACCURACY <= high else "outside"
    return (
        f" One more run of this configuration would fall between {low:.2f} and {percent(high)} (95 %); "
        f"the reference, one run, is {where} that."
    )


def _interval(reading: Reading) -> str:
    return f"95 % interval {reading.low:.2f} to {percent(reading.high)}"


def _to_the_test_accuracy(results: Results) -> str:
    return (
        f"mnist-tune export {results.name} --output best.toml\n"
        "mnist-tune train best.toml --output models/best\n"
        "mnist-tune evaluate models/best\n"
        f"mnist-tune report {results.name} --model models/best"
    )


def _ranking(results: Results) -> Table:
    names = [name for name in results.spec.search.axes if name != SEED]
    rows = [
        [
            str(place.rank),
            *(of_field(results, place.candidate.parameters, name) for name in names),
            percent(place.candidate.mean),
            "" if place.candidate.standard_error is None else f"± {place.candidate.standard_error:.2f}",
            seeds_of(place.candidate),
            results.verdict(place),
        ]
        for place in results.ranking
    ]
    columns = ["rank", *names, "validation accuracy", "standard error", "seeds", "verdict"]
    return table(columns, rows, "best")
