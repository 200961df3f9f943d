"""One chosen configuration as a document: enough to train from, with its origin."""

from __future__ import annotations

import functools
import shlex
from pathlib import Path
from typing import Any

from pydantic import Field, create_model, model_validator

from mnist_tune import __version__
from mnist_tune.errors import UserError
from mnist_tune.jobs.command.table import AnyJobTable, CommandTable, job_table
from mnist_tune.jobs.description import JobDescription
from mnist_tune.jobs.loading import built_in_description
from mnist_tune.jobs.reference import BUILT_IN, JobTable
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import TrialResult
from mnist_tune.spec.documents import Section, content_of, validate


class Configuration(Section):
    """The document that `export` writes and `train` reads. Each job has a class of its own."""

    job: AnyJobTable = JobTable(name=BUILT_IN)
    training: Any
    data: Any
    origin: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _is_no_spec(cls, content: Any) -> Any:
        if isinstance(content, dict) and "search" in content:
            raise ValueError(
                "is a study's spec; train takes one configuration, as 'mnist-tune export' writes it"
            )
        return content

    def document(self) -> dict[str, Any]:
        """The configuration as plain data; the built-in job is not named."""
        exclude = {"job"} if type(self.data).model_fields else {"job", "data"}
        tables = self.model_dump(mode="json", exclude=exclude, exclude_none=True)
        return tables if self.job.name == BUILT_IN else {"job": self.job.document(), **tables}

    def training_config(self, seed: int | None = None) -> Any:
        """The hyperparameters, with another seed if one is given.

        Raises:
            UserError: `seed` is not a valid seed.
        """
        if seed is None:
            return self.training
        return validate(type(self.training), self.training.model_dump() | {"seed": seed}, "--seed")


def vouching(job: JobTable) -> str:
    """What a command line must have besides for a job to be run: somebody's word for its code."""
    if isinstance(job, CommandTable):
        return " --allow-command FOLDER"
    return f" --job {shlex.quote(job.file)}" if job.file else ""


@functools.lru_cache(16)
def _class_of(description: str) -> type[Configuration]:
    job = JobDescription.model_validate_json(description)
    training, data = job.fields.model("training"), job.options.model("data")
    tables: dict[str, Any] = {"training": (training, ...), "data": (data, Field(default_factory=data))}
    made: type[Configuration] = create_model("Configuration", __base__=Configuration, **tables)
    return made


def configuration_class(job: JobDescription) -> type[Configuration]:
    """The class of the configurations of a job."""
    return _class_of(job.model_dump_json(exclude_none=True))


def configured_job(path: Path) -> AnyJobTable:
    """The table [job] of a configuration in TOML, JSON or YAML, by the file's suffix.

    Raises:
        UserError: one line that names the file, the key and the remedy.
    """
    content = content_of(path)
    table = content.get("job", {"name": BUILT_IN}) if isinstance(content, dict) else {"name": BUILT_IN}
    chosen: AnyJobTable = validate(job_table(table), table, f"{path}: job")
    return chosen


def load_configuration(path: Path, job: JobDescription | None = None) -> Configuration:
    """Read a configuration of this job, the built-in one unless another is given.

    Raises:
        UserError: see `configured_job`.
    """
    return validate(configuration_class(job or built_in_description()), content_of(path), str(path))


def best_trial(results: Results) -> TrialResult:
    """The first trial of the best configuration.

    Raises:
        UserError: no trial is complete yet, or none is ranked.
    """
    best = results.best
    if best is None and results.ended_early:
        raise UserError(
            f"study '{results.name}' has no configuration to choose: the pruner has ended at least one trial "
            "of each; let more trials run, or choose a more patient pruner"
        )
    if best is None:
        remedy = f"retry {results.name} --failed" if results.is_finished else f"worker {results.name}"
        raise UserError(f"study '{results.name}' has no complete trial yet; run 'mnist-tune {remedy}' first")
    return best.first


def hyperparameters(results: Results, trial: TrialResult) -> dict[str, Any]:
    """All hyperparameters with which a trial was trained, and the precision that "auto" stood for."""
    fields = results.spec.training.model_dump() | trial.parameters
    if fields.get("precision") == "auto":
        fields["precision"] = trial.environment.get("precision", "auto")
    return {name: value for name, value in fields.items() if value is not None}


def best_configuration(results: Results, storage: str) -> Configuration:
    """The best configuration, with the precision and the seed of its first trial.

    Raises:
        UserError: no trial is complete yet, or none is ranked.
    """
    first, best = best_trial(results), results.best
    assert best is not None  # there is a trial of it
    origin = {
        "study": results.name,
        "trial": first.number,
        results.job.objective: best.mean,
        "seeds": sorted(best.attempts),
        "provisional": best.is_provisional,
        "study_finished": results.is_finished,
        "evidence": results.evidence,
        "storage": storage,
        "exported_by": f"mnist-tune {__version__}",
        "environment": first.environment,
    }
    if results.spec.revisions:
        origin["revisions"] = results.spec.revisions
    if results.race is not None:
        origin["race"] = results.race.ending or "not over"
    if results.confirmations:
        origin["confirmations"] = [
            {key: value for key, value in each.as_json().items() if value is not None}
            for each in results.confirmations
        ]
    data = results.spec.data.model_dump(exclude_none=True)
    return configuration_class(results.job).model_validate(
        {
            "job": results.spec.job.document(),
            "training": hyperparameters(results, first),
            "data": data,
            "origin": origin,
        }
    )
