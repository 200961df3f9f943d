"""Numbers of the MNIST job in the headline: the winner's test accuracy, and the reference beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mnist_tune.jobs.mnist.image_sets import MNIST
from mnist_tune.models.evaluation_file import Evaluated
from mnist_tune.results.intervals import Reading, read
from mnist_tune.results.significance import Measure
from mnist_tune.text.wording import percent

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


def seeds_in_words(n: int) -> str:
    """How many seeds a number is the mean of."""
    return f"mean of {n} seeds" if n > 1 else "one seed"


def reference_figure() -> Figure:
    """The reference result."""
    return Figure(
        "reference, test accuracy",
        percent(REFERENCE_TEST_ACCURACY),
        "one run",
        "Learning rate 0.001, batch size 64, Adam, 10 epochs: a single run, so the luck of its seed is "
        "not known.",
    )


def test_figure(models: Sequence[Evaluated]) -> Figure:
    """The test accuracy of the winner's models."""
    first = models[0]
    measure = Measure(n_cases=first.evaluation.n_images)
    reading = read([model.evaluation.accuracy for model in models], measure, "images")
    assert reading is not None  # it is a percentage of images
    spread = ""
    if reading.deviation is not None:
        spread = f"Standard deviation {reading.deviation:.2f} points, n = {reading.n_seeds}. "
    return Figure(
        f"test accuracy, {seeds_in_words(reading.n_seeds)}",
        percent(reading.value),
        _interval(reading),
        f"{spread}Trained anew on {first.images_trained:,} images. The interval covers {reading.covers}."
        + _beside_the_reference(models, reading),
    )


def _beside_the_reference(models: Sequence[Evaluated], reading: Reading) -> str:
    """Compares a run with the interval for one more run, not with the mean; empty for others than its own."""
    training = models[0].configuration.training
    is_same = all(getattr(training, name) == value for name, value in REFERENCE_RECIPE.items())
    if reading.next_run is None or not is_same or models[0].images is not MNIST:
        return ""
    low, high = reading.next_run
    where = "within" if low <= REFERENCE_TEST_ACCURACY <= high else "outside"
    return (
        f" One more run of this configuration would fall between {low:.2f} and {percent(high)} (95 %); "
        f"the reference, one run, is {where} that."
    )


def _interval(reading: Reading) -> str:
    return f"95 % interval {reading.low:.2f} to {percent(reading.high)}"
