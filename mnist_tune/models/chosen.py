"""A configuration that a person has chosen, with the code of its job."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mnist_tune.jobs.command.permitted import CommandConsent, PermittedCommand, source_in
from mnist_tune.jobs.description import JobDescription
from mnist_tune.jobs.interface import Job
from mnist_tune.jobs.loading import load_job
from mnist_tune.jobs.reference import JobFile
from mnist_tune.results.exports import Configuration, configured_job, load_configuration
from mnist_tune.worker.consent import permitted_job


@dataclass(frozen=True)
class Chosen:
    """A configuration and its job: a function that is imported, or a command."""

    configuration: Configuration
    job: Job | PermittedCommand
    description: JobDescription


def chosen(path: Path, at_hand: JobFile | CommandConsent | None) -> Chosen:
    """Read a file that `export` wrote. Like a database, it names a job that is not run unless vouched for.

    Raises:
        UserError: the file cannot be read, or nobody vouches for its job.
    """
    permitted = permitted_job(configured_job(path), at_hand, f"{path}: the configuration's")
    if isinstance(permitted, PermittedCommand):
        described = permitted.table.describe(source_in(permitted.table, permitted.folder))
        return Chosen(load_configuration(path, described), permitted, described)
    job, described = load_job(permitted)
    return Chosen(load_configuration(path, described), job, described)
