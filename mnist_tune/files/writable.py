"""Tests whether a folder can keep files by writing one: modes do not tell, since root may ignore them."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from mnist_tune.errors import UserError


def nearest(folder: Path) -> Path:
    """`folder`, or its nearest parent that exists."""
    folder = folder.absolute()
    return next(place for place in (folder, *folder.parents) if os.path.lexists(place))


def try_to_write(folder: Path) -> None:
    """Check that files can be kept in `folder`, or that it can be made. Raises OSError."""
    with tempfile.TemporaryFile(dir=nearest(folder)) as file:
        file.write(bytes(4096))
        file.flush()


def refused(folder: Path) -> str | None:
    """Why `folder` cannot be written to, or made; None if it can."""
    try:
        try_to_write(folder)
    except OSError as error:
        return error.strerror or str(error)
    return None


def check_folders(checkpoints: Path, artifacts: Path) -> list[str]:
    """Check before hours of training that its files can be kept; returns warnings about full disks.

    Raises:
        UserError: a folder cannot be written to, or made.
    """
    return [
        *check_folder("--artifacts", artifacts, "weights and logs"),
        *check_folder("--checkpoints", checkpoints, "states to go on from"),
    ]


def check_folder(option: str, folder: Path, kept: str) -> list[str]:
    """Check that a folder can keep files; `option` names it, and `kept` says what these are.

    A full disk is only a warning, which is returned: it may pass, and results need no room there.

    Raises:
        UserError: the folder cannot be written to, or made.
    """
    try:
        try_to_write(folder)
    except OSError as error:
        why = error.strerror or str(error)
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            refusal = f"{option}: {folder} cannot keep {kept} ({why}); name another folder"
            raise UserError(refusal) from None
        return [f"{folder}: {why}: until there is room, no {kept} are kept"]
    return []
