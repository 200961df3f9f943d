"""How a job is named: by the name under which it is installed, or by its file and function."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, model_validator

from mnist_tune.errors import UserError
from mnist_tune.jobs.description import JobDescription
from mnist_tune.jobs.hyperparameters import STRICT

BUILT_IN = "mnist"
"""The job of a spec that names none."""
FUNCTION = re.compile(r"(?P<file>.+\.py):(?P<function>[A-Za-z_][A-Za-z0-9_]*)")
ENVIRONMENT_VARIABLE = "MNIST_TUNE_JOB"
"""Names the job that a worker may run, as `--job` does."""
Module = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$", max_length=100)]


class JobTable(BaseModel):
    """[job]: which job a study searches over."""

    model_config = STRICT

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)] | None = None
    """The name of an installed job."""
    file: Annotated[str, Field(max_length=500)] | None = None
    """A file beside the spec and the function in it: housing.py:train."""
    preload: Annotated[list[Module], Field(max_length=50)] = Field(default_factory=list)
    """Modules that `run` imports once for all training processes; it is no part of the study."""
    description: JobDescription | None = None
    """Only in stored specs: the job as it was when the study was made."""

    @model_validator(mode="after")
    def _names_one_job(self) -> Self:
        self.check()
        return self

    def check(self) -> None:
        """Raise ValueError if the table does not name one job."""
        if (self.name is None) == (self.file is None):
            raise ValueError('write either name = "..." or file = "FILE.py:FUNCTION"')
        if self.file is not None and not FUNCTION.fullmatch(self.file):
            raise ValueError(f"file = {self.file!r} should be FILE.py:FUNCTION, such as housing.py:train")

    @property
    def label(self) -> str:
        """What to call the job in a message."""
        return self.name or self.file or ""

    def document(self) -> dict[str, Any]:
        """The table as a user writes it."""
        return self.model_dump(include={"name", "file"}, exclude_none=True)


@dataclass(frozen=True)
class JobFile:
    """A function in a file for whose code somebody on this machine vouches."""

    path: Path
    function: str

    @property
    def name(self) -> str:
        """The name of the job that is made of it."""
        return self.path.stem

    def __str__(self) -> str:
        return f"{self.path}:{self.function}"


def job_named(named: str) -> str | JobFile:
    """The job that a person names: FILE.py:FUNCTION, or the name of one that is installed.

    Raises:
        UserError: it is meant as a file, but written differently, or there is no such file.
    """
    is_file = ":" in named or "/" in named or named.endswith(".py")
    return job_file(named) if is_file else named


def job_file(named: str, folder: Path | None = None) -> JobFile:
    """Read FILE.py:FUNCTION; a relative path is taken from `folder`, or else from the current one.

    Raises:
        UserError: it is written differently, or there is no such file.
    """
    parts = FUNCTION.fullmatch(named)
    if parts is None:
        raise UserError(f"job {named}: write FILE.py:FUNCTION, such as housing.py:train")
    path = Path(os.path.abspath((folder or Path()) / parts["file"]))  # noqa: PTH100 - links stay links
    if not path.is_file():
        raise UserError(f"job {named}: no such file: {path}")
    return JobFile(path, parts["function"])
