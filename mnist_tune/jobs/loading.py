"""Finds and imports a job's code: installed ones by name, others from a file that a person has named.

No name that a database holds comes here: see `worker/consent.py`.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from mnist_tune.errors import UserError
from mnist_tune.jobs.description import JobDescription, Source
from mnist_tune.jobs.fields import first_mistake
from mnist_tune.jobs.fingerprint import source_of
from mnist_tune.jobs.interface import Job
from mnist_tune.jobs.reference import BUILT_IN, JobFile
from mnist_tune.text.wording import first_line

GROUP = "mnist_tune.jobs"
"""The group of entry points by which a distribution brings jobs."""
OWN = {BUILT_IN: EntryPoint(BUILT_IN, "mnist_tune.jobs.mnist.job:train", GROUP)}
"""The jobs of this package."""


class CannotBeImported(UserError):  # noqa: N818 - it is told as a sentence
    """A job's code cannot be imported. Its cause is the job's own error, whose traceback helps its author."""


def installed() -> dict[str, EntryPoint]:
    """The jobs that are installed, by name; ours come first and cannot be replaced."""
    others = {point.name: point for point in entry_points(group=GROUP)}
    return {**others, **OWN}


def is_installed(name: str) -> bool:
    """Whether a job of this name is installed here."""
    return name in OWN or name in installed()


def can_be_imported(package: str) -> bool:
    """Whether a package, or a module that is in none, is installed here. It is not imported."""
    return importlib.util.find_spec(package) is not None


def load_job(job: str | JobFile) -> tuple[Job, JobDescription]:
    """An installed job, given by its name, or the job in a file.

    Raises:
        UserError: see `load_installed` and `load_file`.
    """
    return load_installed(job) if isinstance(job, str) else load_file(job)


def load_installed(name: str) -> tuple[Job, JobDescription]:
    """The installed job of this name.

    Raises:
        UserError: there is none, or it cannot be imported.
    """
    point = OWN.get(name) or installed().get(name)  # only others must be searched for
    if point is None:
        raise UserError(f"job {name}: not installed here; installed are: {', '.join(installed())}")
    try:
        job = point.load()
    except SystemExit as left:
        raise UserError(f"job {name}: {_leaves(left)}") from None
    except Exception as error:
        raise CannotBeImported(f"job {name}: cannot be imported: {_said(error)}") from error
    if not isinstance(job, Job):
        raise UserError(f"job {name}: {point.value} is no job; decorate the function with @job(...)")
    if name in OWN:
        source = Source()  # each trial has the version of mnist-tune with it
    else:
        module = sys.modules[point.module]
        source = source_of(module.__file__, f"{point.dist.name} {point.dist.version}" if point.dist else None)
    return job, job.describe(name, source)


@functools.cache
def built_in_description() -> JobDescription:
    """The description of the built-in job."""
    return load_installed(BUILT_IN)[1]


def provision(name: str | None, data: Any, directory: Path | None) -> None:
    """Have one of our own jobs make the data that [data] names ready before processes are started.

    Raises:
        MnistTuneError: the data cannot be had.
    """
    if name in OWN:
        importlib.import_module(OWN[name].module).provision(data, directory)


def load_file(file: JobFile) -> tuple[Job, JobDescription]:
    """The job in a file, which is run as a module of its own; its folder is searched for what it imports.

    Raises:
        UserError: it cannot be imported, has no such function, or the function is no job.
    """
    module = _module(file)
    if not hasattr(module, file.function):
        jobs = [name for name, value in vars(module).items() if isinstance(value, Job)]
        has = f"its jobs are {', '.join(jobs)}" if jobs else "it has no function with @job(...)"
        raise UserError(f"job {file}: there is no '{file.function}' in it; {has}")
    job = getattr(module, file.function)
    if not isinstance(job, Job):
        raise UserError(f"job {file}: '{file.function}' is no job; decorate it with @job(objective=..., ...)")
    return job, job.describe(file.name, source_of(str(file.path)))


def _module(file: JobFile) -> ModuleType:
    folder = str(file.path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(file.name, file.path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.name] = module
    try:
        spec.loader.exec_module(module)
    except SystemExit as left:
        raise UserError(f"job {file}: {_leaves(left)}") from None
    except Exception as error:
        raise CannotBeImported(f"job {file}: cannot be imported: {_said(error)}") from error
    return module


def _leaves(left: SystemExit) -> str:
    return f"it leaves with sys.exit({left.code!r}) when it is imported"


def _said(error: Exception) -> str:
    if isinstance(error, ValidationError):  # pydantic's own text has several lines
        return f"{error.title}: {first_mistake(error)}"
    return first_line(f"{type(error).__name__}: {error}")
