"""Cells of a stored study, ended as a worker would end them."""

from __future__ import annotations

import math
import random
from typing import Any

from mnist_tune.failures import Failure
from mnist_tune.storage.keys import ENVIRONMENT
from mnist_tune.study.open_study import OpenStudy
from tests.support.made_studies.epochs import made_epochs

RUN_ON = {
    "device": "cpu",
    "device_name": "a CPU",
    "precision": "fp32",
    "threads": 1,
    "torch": "2.15.0",
    "data_sha256": "0123abcd",
}


def complete_cell(
    study: OpenStudy, *accuracies: float, worker: str = "machine:1", **environment: Any
) -> dict[str, Any]:
    """Take the next cell and complete it; returns its parameters."""
    queue = study.queue()
    claim = queue.claim(worker)
    assert claim is not None
    parameters = study.guide().parameters(claim)
    notes = {ENVIRONMENT: RUN_ON | environment}
    queue.complete(claim, accuracies[-1], user=notes, epochs=made_epochs(accuracies))
    return parameters


def fail_cell(study: OpenStudy, failure: Failure, *accuracies: float, worker: str = "machine:1") -> None:
    """Take the next cell and fail it after epochs with these accuracies."""
    queue = study.queue()
    claim = queue.claim(worker)
    assert claim is not None
    queue.record(claim, user={ENVIRONMENT: RUN_ON}, epochs=made_epochs(accuracies))
    assert queue.give_back(claim, failure)


def complete_all_cells(study: OpenStudy, *, epochs: int = 10, workers: int = 8) -> None:
    """Complete every cell, one in forty at the second try, with plausible accuracies."""
    luck = random.Random(0)
    for number in range(study.spec.n_cells):
        worker = f"machine:{number % workers}"
        top = 98.9 - abs(luck.gauss(0, 4))
        went = [round(max(top - 30 * math.exp(-epoch), 10), 2) for epoch in range(1, epochs + 1)]
        if number % 40 == 7:
            fail_cell(study, Failure("exception", "RuntimeError: broken"), *went[:3], worker=worker)
        complete_cell(study, *went, worker=worker)


def fail_all_cells(study: OpenStudy, reason: str) -> None:
    """Fail every waiting cell until all budgets are spent."""
    queue = study.queue()
    while claim := queue.claim("worker"):
        queue.give_back(claim, Failure("non_finite", reason))
