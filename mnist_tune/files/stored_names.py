"""Checks names from a storage that become names of files.

A database is data, and so are its names: each kind has a fixed form, is checked when read, and stays in its
folder.
"""

from __future__ import annotations

import errno
import re
from pathlib import Path

from mnist_tune.files.atomic_write import TEMPORARY

UID = re.compile(r"[0-9a-f]{32}")
CHECKPOINT_KEY = re.compile(r"[0-9]{1,20}-[0-9a-f]{32}-[0-9]{1,10}\.pt")
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""The names that a job may give to the files that it saves."""
ARTIFACT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def study_uid(stored: object) -> str:
    """Check a study's uid, which names its folder of checkpoints. Raises ValueError for anything else."""
    return _matching(UID, stored, "the uid", "32 hexadecimal digits")


def checkpoint_key(stored: object) -> str:
    """Check the name of a checkpoint's file. Raises ValueError for anything else."""
    return _matching(CHECKPOINT_KEY, stored, "the key of a checkpoint", "TRIAL-TOKEN-EPOCH.pt")


def artifact_id(stored: object) -> str:
    """Check the name of an artifact's file. Raises ValueError for anything else."""
    return _matching(ARTIFACT_ID, stored, "the id of an artifact", "a UUID")


def file_name(stored: object) -> str:
    """Check the name of a file that a job has saved. Raises ValueError for anything else."""
    return _matching(FILE_NAME, stored, "the name of a file", "letters, digits, '.', '_' and '-'")


def is_artifact_id(stored: object) -> bool:
    """Whether `stored` is a valid name of an artifact's file."""
    return isinstance(stored, str) and ARTIFACT_ID.fullmatch(stored) is not None


def is_of_a_checkpoint(name: str) -> bool:
    """Whether a file of this name is a checkpoint, or was left by a process that died while writing one."""
    temporary = TEMPORARY.fullmatch(name)
    # Version 0.5.0 added a fixed suffix to the name of a file that it was writing.
    key = temporary["name"] if temporary else name.removesuffix(".tmp")
    return CHECKPOINT_KEY.fullmatch(key) is not None


def inside(folder: Path, name: str) -> Path:
    """The file of this name in the folder. Raises OSError for a name that leads elsewhere."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise OSError(errno.EINVAL, "it is no name of a file", name)
    return folder / name


def _matching(form: re.Pattern[str], stored: object, what: str, wanted: str) -> str:
    if isinstance(stored, str) and form.fullmatch(stored):
        return stored
    raise ValueError(f"{what} is {stored!r:.100}, and not {wanted}")
