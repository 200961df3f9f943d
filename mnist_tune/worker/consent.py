"""Which job a worker may run: one that is installed here, or the file that was named when it was started.

A database names a job, and never more: no module and no path in it is imported.
"""

from __future__ import annotations

import os

from mnist_tune.errors import UserError
from mnist_tune.jobs.loading import is_installed
from mnist_tune.jobs.reference import ENVIRONMENT_VARIABLE, JobFile, JobTable, job_file


def job_at_hand(named: str | None) -> JobFile | None:
    """The job's file that `--job` names, or else $MNIST_TUNE_JOB; None if nothing is named.

    Raises:
        UserError: there is no such file.
    """
    given = named or os.environ.get(ENVIRONMENT_VARIABLE)
    return job_file(given) if given else None


def permitted_job(job: JobTable, at_hand: JobFile | None) -> str | JobFile:
    """The job that the training process loads: the name of an installed one, or the file at hand.

    Raises:
        UserError: the study's job is not installed here, and nobody vouches for a file.
    """
    if job.name is not None:
        if not is_installed(job.name):
            raise UserError(
                f"the study's job '{job.name}' is not installed here; install the package that brings it"
            )
        return job.name
    if at_hand is None:
        raise UserError(
            f"the study's job is {job.file}, a file; say where it is on this machine, if you trust it: "
            f"--job PATH/{job.file}"
        )
    return at_hand
