"""Tells one state of a job's code from another: its hash, and its commit where there is git."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from mnist_tune.jobs.description import Source

GIT_SECONDS = 10


def source_of(file: str | None, distribution: str | None = None) -> Source:
    """The source of a job that is defined in a file; it has no commit outside a repository."""
    if file is None:
        return Source(distribution=distribution)
    path = Path(file)
    try:
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:  # it is in an archive
        return Source(distribution=distribution)
    commit = _git(path.parent, "rev-parse", "HEAD")
    changes = None if commit is None else _git(path.parent, "status", "--porcelain", "--", ".")
    return Source(
        sha256=sha256,
        distribution=distribution,
        git_commit=commit,
        is_modified=None if changes is None else bool(changes),
    )


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says in this folder; None if it fails or is not there."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
