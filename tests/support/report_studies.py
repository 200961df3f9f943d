"""Studies and evaluations for the report to show, without any training."""

from __future__ import annotations

import base64
import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnist_tune.failures import Failure
from mnist_tune.jobs.metrics import Evaluation, Misclassified
from mnist_tune.jobs.model_folder import CONFIGURATION_FILE, METRICS_FILE, MODEL_FILE
from mnist_tune.models.evaluation_file import Evaluated, Measured, read_evaluated, sha256_of
from mnist_tune.results.exports import best_configuration
from mnist_tune.results.reading import read_results
from mnist_tune.spec.documents import dump
from mnist_tune.storage.keys import ENVIRONMENT, HISTORY
from mnist_tune.study.open_study import OpenStudy

RUN_ON = {
    "device": "cpu",
    "device_name": "a CPU",
    "precision": "fp32",
    "threads": 1,
    "torch": "2.15.0",
    "data_sha256": "0123abcd",
}
SEEDS = """
[study]
name = "tiny"

[search.grid]
learning_rate = [0.001, 0.0001]
batch_size = [64, 128]
seed = [0, 1]
"""
SAMPLED = """
[study]
name = "tiny"

[search]
sampler = "random"
n_trials = {n_trials}

[search.space]
learning_rate = {{low = 1e-5, high = 1e-1, log = true}}
batch_size = {{low = 16, high = 512, log = true}}
optimizer = ["Adam", "SGD"]
"""


def history(accuracies: Sequence[float]) -> list[dict[str, Any]]:
    """Epochs that reached these accuracies, ten images each."""
    return [
        {
            "epoch": epoch,
            "training_loss": round(2.0 / epoch, 4),
            "validation_loss": round((100 - accuracy) / 40 + 0.01, 4),
            "validation_accuracy": accuracy,
            "images_per_second": 1_000.0,
            "seconds": 0.01,
        }
        for epoch, accuracy in enumerate(accuracies, start=1)
    ]


def complete(
    study: OpenStudy, *accuracies: float, worker: str = "machine:1", **environment: Any
) -> dict[str, Any]:
    """Take the next cell and complete it; its parameters."""
    queue = study.queue()
    claim = queue.claim(worker)
    assert claim is not None
    parameters = study.guide().parameters(claim)
    notes = {ENVIRONMENT: RUN_ON | environment, HISTORY: history(accuracies)}
    queue.complete(claim, accuracies[-1], user=notes)
    return parameters


def fail(study: OpenStudy, failure: Failure, *accuracies: float, worker: str = "machine:1") -> None:
    """Take the next cell and fail after these epochs."""
    queue = study.queue()
    claim = queue.claim(worker)
    assert claim is not None
    queue.record(claim, user={ENVIRONMENT: RUN_ON, HISTORY: history(accuracies)})
    assert queue.give_back(claim, failure)


def complete_all(study: OpenStudy, *, epochs: int = 10, workers: int = 8) -> None:
    """Complete every cell, one in forty at the second try, with accuracies as they might be."""
    luck = random.Random(0)
    for number in range(study.spec.n_cells):
        worker = f"machine:{number % workers}"
        top = 98.9 - abs(luck.gauss(0, 4))
        went = [round(max(top - 30 * math.exp(-epoch), 10), 2) for epoch in range(1, epochs + 1)]
        if number % 40 == 7:
            fail(study, Failure("exception", "RuntimeError: broken"), *went[:3], worker=worker)
        complete(study, *went, worker=worker)


def evaluated(
    study: OpenStudy,
    folder: Path,
    *,
    seed: int = 0,
    accuracy: float = 98.0,
    images: int = 60_000,
    **training: Any,
) -> Evaluated:
    """The study's winner as if it had been trained with `seed` and evaluated on 1,000 test images."""
    configuration = best_configuration(read_results(study), "sqlite:///studies.db")
    fields = configuration.training.model_copy(update={"seed": seed, **training})
    document = configuration.model_copy(update={"training": fields}).model_dump(mode="json")
    folder.mkdir(parents=True)
    (folder / CONFIGURATION_FILE).write_text(dump(document, "toml"), encoding="utf-8")
    (folder / METRICS_FILE).write_text(json.dumps({"images": images}), encoding="utf-8")
    (folder / MODEL_FILE).write_bytes(b"weights")
    file = folder / MODEL_FILE
    assert Measured(evaluation(accuracy), file, sha256_of(file)).keep() is not None
    return read_evaluated(folder)


def evaluation(accuracy: float) -> Evaluation:
    """100 images of each digit; all mistakes are fours read as nines."""
    n_wrong = round(10 * (100 - accuracy))
    matrix = [[100 if i == j else 0 for j in range(10)] for i in range(10)]
    matrix[4][4] -= n_wrong
    matrix[4][9] += n_wrong
    wrong = tuple(
        Misclassified(index, 4, 9, 50.0 + index, base64.b64encode(picture(index)).decode())
        for index in range(n_wrong)
    )
    per_class = tuple(float(row[digit]) for digit, row in enumerate(matrix))
    return Evaluation(1_000, 0.05, accuracy, per_class, tuple(map(tuple, matrix)), wrong)


def picture(index: int) -> bytes:
    """28 rows of 28 pixels, other ones for each index."""
    return bytes((index * 7 + place) % 256 for place in range(28 * 28))
