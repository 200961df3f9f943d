"""Has a job measure one of its models on test data, in this very process."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.files.atomic_write import write_whole
from mnist_tune.jobs.evaluation import Evaluation, SavedModel
from mnist_tune.jobs.fields import first_mistake
from mnist_tune.jobs.host import in_one_line
from mnist_tune.jobs.interface import Job, JobMistake, NonFiniteMetric
from mnist_tune.jobs.metric import words
from mnist_tune.jobs.model_files import beside_ours
from mnist_tune.jobs.states import seed_everything


def measure(job: Job, settings: Any, model: SavedModel) -> Evaluation:
    """The job's own results of a model that was trained with these settings.

    Raises:
        UserError: the job cannot measure.
        MnistTuneError: it returns something else than results, or leaves.
        Exception: what the job has raised.
    """
    if job.evaluate is None:
        raise UserError("the job cannot measure a model; give it a function: @job(evaluate=...)")
    seed_everything(settings.seed)
    try:
        return _as_evaluation(job.evaluate(settings, model))
    except (JobMistake, SystemExit) as error:
        raise MnistTuneError(in_one_line(error)) from None


def measure_files(
    job: Job,
    settings: Any,
    files: Mapping[str, bytes],
    *,
    device: str,
    data: Any,
    data_directory: Path | None,
    metric: str,
) -> Evaluation:
    """The job's results of the files that it has just saved, which must have this metric.

    Raises:
        JobMistake: the job saves no file, or returns something else than results with this metric.
        NonFiniteMetric: the metric is inf or nan.
        OSError: the files cannot be written for the job to read.
        Exception: what the job has raised.
    """
    if not files:
        raise JobMistake("it saves no file (trial.save), so that there is no model to measure")
    with tempfile.TemporaryDirectory(prefix="mnist-tune-model-") as folder:
        for name, content in beside_ours(files).items():
            write_whole(Path(folder, name), content)
        try:
            found = measure(job, settings, SavedModel(Path(folder), device, data, data_directory))
        except MnistTuneError as error:
            raise JobMistake(str(error)) from None
    if metric not in found.metrics:
        raise JobMistake(
            f"evaluate returns no '{metric}', but {', '.join(found.metrics)}; name one of these with "
            "'mnist-tune confirm --metric'"
        )
    if not math.isfinite(value := found.metrics[metric]):
        raise NonFiniteMetric(f"{words(metric)} is {value} on test data")
    return found


def _as_evaluation(returned: Any) -> Evaluation:
    """What the job has returned: an `Evaluation`, or metrics by name. Raises JobMistake."""
    if isinstance(returned, Evaluation):
        return returned
    if not isinstance(returned, Mapping):
        raise JobMistake(f"evaluate returns metrics by name, or an Evaluation, not {type(returned).__name__}")
    try:
        return Evaluation(metrics=dict(returned))
    except ValidationError as error:
        raise JobMistake(f"evaluate: {first_mistake(error)}") from None
