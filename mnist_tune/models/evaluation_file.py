"""The results of a model on the test images, kept in its folder for reports."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mnist_tune.errors import UserError
from mnist_tune.files.atomic_write import write_whole
from mnist_tune.jobs.mnist.image_sets import IMAGE_SETS, MNIST, ImageSet
from mnist_tune.jobs.mnist.measured import Evaluation, Misclassified
from mnist_tune.jobs.model_folder import CONFIGURATION_FILE, EVALUATION_FILE, METRICS_FILE, MODEL_FILE
from mnist_tune.results.exports import Configuration, load_configuration
from mnist_tune.spec.documents import dump


@dataclass(frozen=True)
class Evaluated:
    """A trained model's configuration, and the results that `evaluate` measured."""

    folder: Path
    configuration: Configuration
    images_trained: int
    evaluation: Evaluation
    images: ImageSet = MNIST
    """The set on which it was measured."""


@dataclass(frozen=True)
class Measured:
    """An evaluation with its images, the file of its model and the hash of that file."""

    evaluation: Evaluation
    file: Path
    sha256: str
    images: ImageSet = MNIST

    @property
    def dataset(self) -> dict[str, str]:
        """What a document says of the images: their name, unless they are MNIST's."""
        return {} if self.images is MNIST else {"dataset": self.images.name}

    def keep(self) -> Path | None:
        """Write it into the model's folder if `train` made that folder; returns the path. Raises OSError."""
        folder = self.file.parent
        if self.file.name != MODEL_FILE or not (folder / CONFIGURATION_FILE).is_file():
            return None
        path = folder / EVALUATION_FILE
        content = {"model_sha256": self.sha256, **self.dataset, "evaluation": asdict(self.evaluation)}
        write_whole(path, dump(content, "json").encode())
        return path


def read_evaluated(folder: Path) -> Evaluated:
    """The configuration of the model in `folder` and its stored evaluation.

    Raises:
        UserError: `train` did not make the folder, or its model has not been evaluated.
    """
    for name in (MODEL_FILE, CONFIGURATION_FILE, METRICS_FILE):
        if not (folder / name).is_file():
            raise UserError(f"{folder}: has no {name}; name a folder that 'mnist-tune train' wrote")
    remedy = f"run: mnist-tune evaluate {folder}"
    try:
        stored = json.loads((folder / EVALUATION_FILE).read_text(encoding="utf-8"))
        images = json.loads((folder / METRICS_FILE).read_text(encoding="utf-8"))["images"]
        if stored["model_sha256"] != sha256_of(folder / MODEL_FILE):
            raise UserError(f"{folder}: {EVALUATION_FILE} is of another model; {remedy}")
        of = IMAGE_SETS[stored.get("dataset", MNIST.name)]
        fields = stored["evaluation"]
        evaluation = Evaluation(
            **fields
            | {
                "loss": _number(fields["loss"]),
                "per_class_accuracy": tuple(map(_number, fields["per_class_accuracy"])),
                "confusion_matrix": tuple(map(tuple, fields["confusion_matrix"])),
                "misclassified": tuple(map(_misclassified, fields["misclassified"])),
            }
        )
        n = len(of.class_names)
        if [*map(len, evaluation.confusion_matrix), len(evaluation.per_class_accuracy)] != [n] * (n + 1):
            raise ValueError(f"is not of {n} classes")
    except FileNotFoundError:
        raise UserError(f"{folder}: has not been evaluated; {remedy}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{folder}: its evaluation cannot be read ({reason}); {remedy}") from None
    return Evaluated(folder, load_configuration(folder / CONFIGURATION_FILE), images, evaluation, of)


def _misclassified(fields: dict[str, Any]) -> Misclassified:
    return Misclassified(**fields | {"confidence": _number(fields["confidence"])})


def _number(stored: float | None) -> float:
    return math.nan if stored is None else stored  # JSON has null for nan


def sha256_of(path: Path) -> str:
    """The SHA-256, in hex, of a file's content. Raises OSError."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
