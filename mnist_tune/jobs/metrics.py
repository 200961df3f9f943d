"""The results of an epoch of training and of an evaluation, as plain values."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class EpochMetrics:
    """The metrics of one epoch, counted from 1.

    Losses are mean cross entropies, the accuracy is in percent; both are None without validation. `seconds`
    is wall-clock time with validation; `images_per_second` counts training images in that time. Stock Optuna
    copies only the accuracies of a trial's epochs: in such a copy the other fields are None.
    """

    epoch: int
    training_loss: float | None
    validation_loss: float | None
    validation_accuracy: float | None
    images_per_second: float | None
    seconds: float | None

    def numbers(self) -> dict[str, float | None]:
        """The metrics by name, as they are stored, without the epoch's number."""
        numbers = asdict(self)
        del numbers["epoch"]
        return numbers

    def line(self, epochs: int) -> str:
        """The epoch in words, for a log."""
        parts = []
        if self.training_loss is not None:
            parts.append(f"training loss {self.training_loss:.4f}")
        if self.validation_loss is not None:
            parts.append(f"validation loss {self.validation_loss:.4f}")
        if self.validation_accuracy is not None:
            parts.append(f"validation accuracy {self.validation_accuracy:.2f} %")
        if self.images_per_second is not None:
            parts.append(f"{self.images_per_second:,.0f} images/s")
        return f"epoch {self.epoch}/{epochs}: {', '.join(parts)}"


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
