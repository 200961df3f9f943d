"""Studies of a job of another kind than the built-in one: a regression whose error is made small."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.storage.keys import ENVIRONMENT
from mnist_tune.study.open_study import OpenStudy
from tests.support.made_studies.cells import RUN_ON
from tests.support.stored_epochs import numbers
from tests.support.studies import new_study

JOB = """
from typing import Annotated

from pydantic import Field

from mnist_tune.jobs.description import Normal
from mnist_tune.jobs.metric import Metric
from mnist_tune.jobs.hyperparameters import Hyperparameters
from mnist_tune.jobs.interface import Trial, job


class Settings(Hyperparameters):
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    width: Annotated[int, Field(ge=1)] = 64
    precision: str = "double"


@job(objective="validation_error", direction="minimize"{arguments})
def train(settings: Settings, trial: Trial) -> None:
    for epoch in trial.epochs():
        trial.report(training_error=1.0, validation_error=1.0, r2=0.5, rows=1_000)
"""
SPEC = """
[study]
name = "regression"

[job]
file = "regression.py:train"

[search.grid]
learning_rate = [0.1, 0.01]
width = [32, 64]

[training]
epochs = 3
"""


def regression_study(folder: Path, arguments: str = ', unit="rows"', spec: str = SPEC) -> OpenStudy:
    """A fresh study of four cells; `arguments` are written behind those of the job's decorator."""
    (folder / "regression.py").write_text(JOB.format(arguments=arguments), encoding="utf-8")
    return new_study(folder, spec)


def complete_with(study: OpenStudy, *errors: float, rate: bool = True, **reported: float) -> dict[str, Any]:
    """Take the next cell and complete it with these errors after its epochs; returns its parameters."""
    queue = study.queue()
    claim = queue.claim("machine:1")
    assert claim is not None
    parameters = study.guide().parameters(claim)
    epochs = numbers(errors_by_epoch(errors, reported | ({"rows_per_second": 1_000.0} if rate else {})))
    queue.complete(claim, errors[-1], user={ENVIRONMENT: RUN_ON}, epochs=epochs)
    return parameters


def errors_by_epoch(errors: Sequence[float], reported: dict[str, float]) -> list[EpochMetrics]:
    """Epochs with these errors on validation data, half of that on training data, and what else there is."""
    return [
        EpochMetrics(
            number,
            {"training_error": error / 2, "validation_error": error, **reported, "seconds": 0.01},
        )
        for number, error in enumerate(errors, start=1)
    ]
