"""A command that somebody on this machine has allowed."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import SerializeAsAny

from mnist_tune.jobs.command.table import CommandTable
from mnist_tune.jobs.description import Source
from mnist_tune.jobs.fingerprint import source_of
from mnist_tune.jobs.reference import JobTable


@dataclass(frozen=True)
class CommandConsent:
    """Says that a study's command may be run in a folder."""

    folder: Path
    digest: str | None = None
    """Only the command with this digest; None for any that the study has."""


@dataclass(frozen=True)
class PermittedCommand:
    """A command, and the folder in which it may be run."""

    table: SerializeAsAny[CommandTable]
    folder: Path


def digest(table: JobTable) -> str | None:
    """Tells one command from another; None for a job that is none."""
    if not isinstance(table, CommandTable):
        return None
    return hashlib.sha256(json.dumps(table.document(), sort_keys=True).encode()).hexdigest()


def source_in(table: CommandTable, folder: Path) -> Source:
    """The source of a command: of the first of its words that names a file, as seen from the folder.

    A program from elsewhere is most often an interpreter, and counts last.
    """
    program, *words = table.command
    is_own = Path(os.path.realpath(folder / program)).is_relative_to(os.path.realpath(folder))
    for word in (program, *words) if is_own else (*words, program):
        path = str(folder / word)
        # Not `Path.is_file`, which raises an error if a word, such as a whole script, is too long for a name.
        if "{" not in word and os.path.isfile(path):  # noqa: PTH113
            return source_of(path)
    return Source()
