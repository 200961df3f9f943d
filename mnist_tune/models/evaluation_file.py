"""The results of a model on test data, kept in its folder for reports."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from mnist_tune.errors import UserError
from mnist_tune.files.atomic_write import write_whole
from mnist_tune.jobs.description import JobDescription
from mnist_tune.jobs.evaluation import Evaluation
from mnist_tune.jobs.fields import first_mistake
from mnist_tune.jobs.model_files import CONFIGURATION_FILE, EVALUATION_FILE, METRICS_FILE
from mnist_tune.models.folder import hashes, trained_on
from mnist_tune.results.exports import Configuration, load_configuration, vouching
from mnist_tune.spec.documents import dump


@dataclass(frozen=True)
class Measured:
    """The results of a model, with its folder if they are those of all that is in it."""

    job: JobDescription
    evaluation: Evaluation
    folder: Path | None
    sha256: dict[str, str]
    """The hash of each file that was measured."""

    def keep(self) -> Path | None:
        """Write the results into the model's folder, if it has one; returns the path. Raises OSError."""
        if self.folder is None:
            return None
        path = self.folder / EVALUATION_FILE
        evaluation = json.loads(self.evaluation.model_dump_json(exclude_none=True))
        write_whole(path, dump({"files": self.sha256, "evaluation": evaluation}, "json").encode())
        return path


@dataclass(frozen=True)
class Evaluated:
    """A model's configuration, and the results that `evaluate` has kept."""

    folder: Path
    configuration: Configuration
    trained_on: int | None
    """How much of the job's unit an epoch of its training went through, if that is known."""
    evaluation: Evaluation


def read_evaluated(folder: Path, job: JobDescription) -> Evaluated:
    """The configuration of the model in `folder` and its stored evaluation; `job` is that of its study.

    Raises:
        UserError: the folder is not of `train` or `export`, or its model has not been evaluated.
    """
    for name in (CONFIGURATION_FILE, METRICS_FILE):
        if not (folder / name).is_file():
            raise UserError(
                f"{folder}: has no {name}; name a folder that 'mnist-tune train' or 'export --files' wrote"
            )
    if not job.evaluates:
        raise UserError(f"{folder}: its job cannot measure a model (evaluate in @job)")
    configuration = load_configuration(folder / CONFIGURATION_FILE, job)
    number = trained_on(folder, job.unit)
    remedy = f"run: mnist-tune evaluate {shlex.quote(str(folder))}{vouching(configuration.job)}"
    try:
        stored = json.loads((folder / EVALUATION_FILE).read_text(encoding="utf-8"))
        if not isinstance(stored, dict) or "files" not in stored:
            raise UserError(f"{folder}: was evaluated by another version of mnist-tune; {remedy}")
        measured = stored["files"]
        if not measured or not measured.items() <= hashes(folder).items():  # others may have come
            raise UserError(f"{folder}: {EVALUATION_FILE} is of another model; {remedy}")
        evaluation = Evaluation.model_validate_json(json.dumps(stored["evaluation"]))
    except FileNotFoundError:
        raise UserError(f"{folder}: has not been evaluated; {remedy}") from None
    except (OSError, ValueError, LookupError, AttributeError, RecursionError) as error:
        raise UserError(f"{folder}: its evaluation cannot be read ({_reason(error)}); {remedy}") from None
    return Evaluated(folder, configuration, number, evaluation)


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return first_mistake(error)
    return " ".join(str(error).split())
