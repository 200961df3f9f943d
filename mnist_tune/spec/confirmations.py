"""[confirm]: what a study with it must have, and what its job then is."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from mnist_tune.errors import UserError
from mnist_tune.jobs.description import JobDescription
from mnist_tune.jobs.fields import first_mistake
from mnist_tune.spec.conditions import SEED
from mnist_tune.spec.documents import KeyedError
from mnist_tune.spec.search_space import Search
from mnist_tune.spec.sections import Confirm


def described_for(content: Any, job: JobDescription, source: str) -> JobDescription:
    """The job of a spec in plain data: with [confirm] its objective is measured on test data.

    Raises:
        UserError: the job cannot be confirmed.
    """
    table = content.get("confirm") if isinstance(content, dict) else None
    if not isinstance(table, dict):
        return job
    return confirmed(job, table.get("metric"), source)


def confirmed(job: JobDescription, metric: Any, source: str) -> JobDescription:
    """The job as a confirmation runs it. Raises UserError if it cannot train on all data or measure."""
    if not job.evaluates:
        raise UserError(f"{source}: the job cannot measure a model on test data; give it @job(evaluate=...)")
    if not job.holds_back:
        raise UserError(
            f"{source}: the job does not say how it trains on all data; give it @job(all_data=...), which "
            "changes the options of [data] so that nothing is held back for validation"
        )
    try:
        return job.measured_by(metric)
    except ValidationError as error:
        problem = first_mistake(error)
        raise UserError(f"{source}: metric {metric!r} cannot be an objective: {problem}") from None


def check_confirmation(table: Confirm | None, search: Search, job: JobDescription) -> None:
    """Check that a study trains one configuration with several seeds, and measures them.

    Raises:
        KeyedError: what is missing or too much.
    """
    if table is None:
        raise KeyedError("confirm", "missing: the job's objective is measured on test data")
    if job.test_metric is None or table.metric not in (None, job.test_metric):
        raise KeyedError("confirm.metric", f"is not {job.test_metric}, which the study has as its objective")
    if search.grid is None or set(search.axes) != {SEED}:
        raise KeyedError("search.grid", "a confirmation has one configuration: write seed = [...] alone")
