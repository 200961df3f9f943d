"""Has a job measure one of its models on test data, in this very process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.jobs.evaluation import Evaluation, SavedModel
from mnist_tune.jobs.fields import first_mistake
from mnist_tune.jobs.host import in_one_line
from mnist_tune.jobs.interface import Job, JobMistake
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
