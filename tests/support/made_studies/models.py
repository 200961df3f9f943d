"""Models with made-up mistakes on made-up test images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mnist_tune.jobs.evaluation import Classes, Evaluation, GreyImage, Mistake
from mnist_tune.jobs.mnist.image_sets import MNIST, ImageSet
from mnist_tune.jobs.mnist.network import MODEL_FILE
from mnist_tune.jobs.model_files import CONFIGURATION_FILE, METRICS_FILE
from mnist_tune.models.evaluation_file import Evaluated, Measured, read_evaluated
from mnist_tune.models.folder import hashes
from mnist_tune.results.exports import best_configuration
from mnist_tune.results.reading import read_results
from mnist_tune.spec.documents import dump
from mnist_tune.study.open_study import OpenStudy


def made_model(
    study: OpenStudy,
    folder: Path,
    *,
    seed: int = 0,
    accuracy: float = 98.0,
    images: int = 60_000,
    of: ImageSet = MNIST,
    **training: Any,
) -> Evaluated:
    """The study's winner, as if it had been trained with `seed` and evaluated on 1,000 test images."""
    configuration = best_configuration(read_results(study), "sqlite:///studies.db")
    fields = configuration.training.model_copy(update={"seed": seed, **training})
    document = configuration.model_copy(update={"training": fields}).document()
    folder.mkdir(parents=True)
    (folder / CONFIGURATION_FILE).write_text(dump(document, "toml"), encoding="utf-8")
    (folder / METRICS_FILE).write_text(json.dumps({"images": images}), encoding="utf-8")
    (folder / MODEL_FILE).write_bytes(b"weights")
    job = study.spec.description
    assert Measured(job, made_evaluation(accuracy, of), folder, hashes(folder)).keep() is not None
    return read_evaluated(folder, job)


def made_evaluation(accuracy: float, of: ImageSet = MNIST) -> Evaluation:
    """An evaluation on 100 images of each digit; all mistakes are fours read as nines."""
    n_wrong = round(10 * (100 - accuracy))
    matrix = [[100 if i == j else 0 for j in range(10)] for i in range(10)]
    matrix[4][4] -= n_wrong
    matrix[4][9] += n_wrong
    return Evaluation(
        metrics={"accuracy": accuracy, "loss": 0.05},
        n_cases=1_000,
        cases="images",
        dataset=of.name,
        classes=Classes(names=of.class_names, one=of.one_class, many=of.classes, confusion_matrix=matrix),
        mistakes=[
            Mistake(
                index=index,
                label=4,
                predicted=9,
                confidence=50.0 + index,
                image=GreyImage(width=28, pixels=made_image(index)),
            )
            for index in range(n_wrong)
        ],
    )


def made_image(index: int) -> bytes:
    """28 rows of 28 pixels that differ for each index."""
    return bytes((index * 7 + place) % 256 for place in range(28 * 28))
