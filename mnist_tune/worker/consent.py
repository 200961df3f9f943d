"""Which job a worker may run: one that is installed here, or what was named when it was started.

A database names a job, and never more: no module and no path in it is imported, and no command in it is run,
unless who starts the worker says so.
"""

from __future__ import annotations

import os
from pathlib import Path

from mnist_tune.errors import UserError
from mnist_tune.jobs.command.permitted import CommandConsent, PermittedCommand, digest
from mnist_tune.jobs.command.table import CommandTable
from mnist_tune.jobs.loading import is_installed
from mnist_tune.jobs.reference import ENVIRONMENT_VARIABLE, JobFile, JobTable, job_file
from mnist_tune.text.wording import first_line


def job_at_hand(
    named: str | None, command_folder: Path | None = None, command_digest: str | None = None
) -> JobFile | CommandConsent | None:
    """What a worker may run: a command, or the file that `--job` or $MNIST_TUNE_JOB names; None for neither.

    A command is run in the folder of `--allow-command`, and only with this digest if one is given.

    Raises:
        UserError: there is no such file.
    """
    if command_folder is not None:
        return CommandConsent(command_folder.absolute(), command_digest)
    given = named or os.environ.get(ENVIRONMENT_VARIABLE)
    return job_file(given) if given else None


def permitted_job(
    job: JobTable, at_hand: JobFile | CommandConsent | None, whose: str = "the study's"
) -> str | JobFile | PermittedCommand:
    """The job that the training process loads: an installed one's name, the file at hand, or the command.

    `whose` job it is stands in messages.

    Raises:
        UserError: the job is not installed here, and nobody vouches for its file or its command.
    """
    if isinstance(job, CommandTable):
        if not isinstance(at_hand, CommandConsent):
            raise UserError(
                f"{whose} job is a command: {first_line(job.label)}; if you trust it, say in which "
                "folder it is to be run: --allow-command FOLDER"
            )
        if at_hand.digest not in (None, digest(job)):
            raise UserError(
                f"{whose} command is not the one of its spec any more: {first_line(job.label)}; "
                "create the study anew, under another name"
            )
        return PermittedCommand(job, at_hand.folder)
    if job.name is not None:
        if not is_installed(job.name):
            raise UserError(
                f"{whose} job '{job.name}' is not installed here; install the package that brings it"
            )
        return job.name
    if not isinstance(at_hand, JobFile):
        raise UserError(
            f"{whose} job is {job.file}, a file; say where it is on this machine, if you trust it: "
            f"--job PATH/{job.file}"
        )
    return at_hand
