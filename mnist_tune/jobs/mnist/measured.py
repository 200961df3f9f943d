"""What a model gets right and wrong on labelled images, as plain values; it needs no torch."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any


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
