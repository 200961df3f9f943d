"""The results of an epoch of training and of an evaluation, as plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mnist_tune.jobs.description import JobDescription
from mnist_tune.jobs.metric import SECONDS, words


@dataclass(frozen=True, slots=True)
class EpochMetrics:
    """The numbers of one epoch by name, counted from 1.

    They are the metrics that the job has reported; the `seconds` of wall-clock that the epoch took with its
    validation; and, for a job that counts rows, `rows_per_second` in that time. Stock Optuna copies only the
    objective of a trial's epochs: in such a copy there is nothing else.
    """

    epoch: int
    numbers: Mapping[str, float | None]

    def __getitem__(self, name: str) -> float | None:
        """The number of this name, None if the epoch has none."""
        return self.numbers.get(name)

    @property
    def seconds(self) -> float | None:
        """How long the epoch took."""
        return self[SECONDS]

    def as_json(self) -> dict[str, Any]:
        """The epoch as plain data."""
        return {"epoch": self.epoch, **self.numbers}

    def line(self, epochs: int, job: JobDescription) -> str:
        """The epoch in words, for a log."""
        found = ((name, self[name]) for name in job.shown(self.numbers))
        parts = [
            f"{words(name)} {job.metric(name).text(value)}" for name, value in found if value is not None
        ]
        if job.rate is not None and self[job.rate] is not None:
            parts.append(job.speed(self[job.rate]))
        return f"epoch {self.epoch}/{epochs}: {', '.join(parts)}"


def epoch_from(content: Mapping[str, Any]) -> EpochMetrics:
    """The epoch in plain data, as `as_json` writes it. Raises KeyError."""
    numbers = dict(content)
    return EpochMetrics(numbers.pop("epoch"), numbers)


def unfinished(done: int, epochs: int) -> str | None:
    """What is wrong with a training that has ended after so many of its epochs; None if it had all."""
    if done == epochs:
        return None
    return f"the training ended {f'after epoch {done} of {epochs}' if done else 'before its first epoch'}"


@dataclass(frozen=True)
class Misclassified:
    """An image whose predicted digit is wrong.

    `index` is its place among the images, from 0; `confidence` is in percent. `pixels` is base64 of 784
    bytes, 28 rows of 28, from 0 (black) to 255 (the ink).
    """

    index: int
    label: int
    predicted: int
    confidence: float
    pixels: str


@dataclass(frozen=True)
class Evaluation:
    """The results of a model on labelled images.

    `loss` is the mean cross entropy; accuracies are in percent (nan for a class without images).
    `confusion_matrix[true][predicted]` counts images; `misclassified` has the wrong ones in their order.
    """

    n_images: int
    loss: float
    accuracy: float
    per_class_accuracy: tuple[float, ...]
    confusion_matrix: tuple[tuple[int, ...], ...]
    misclassified: tuple[Misclassified, ...]

    def as_json(self) -> dict[str, Any]:
        """The results as plain data, without the pixels."""
        plain = asdict(self)
        for each in plain["misclassified"]:
            del each["pixels"]
        return plain | {"problems": self.problems}

    @property
    def problems(self) -> list[str]:
        """Reasons why the results are worthless; empty if there are none."""
        return (
            []
            if math.isfinite(self.loss)
            else [f"the loss is {self.loss}: the model's answers are no numbers"]
        )
