"""Whether files can be kept in a folder, found out by a file: root may write what no mode allows."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from mnist_tune.errors import UserError


def nearest(folder: Path) -> Path:
    """`folder`, or the nearest one above it that is there."""
    folder = folder.absolute()
    return next(place for place in (folder, *folder.parents) if os.path.lexists(place))


def try_to_write(folder: Path) -> None:
    """See that files can be kept in `folder`, or that it can be made. Raises OSError."""
    with tempfile.TemporaryFile(dir=nearest(folder)) as file:
        file.write(bytes(4096))
        file.flush()


def check_folders(checkpoints: Path, artifacts: Path) -> list[str]:
    """See before hours of training that what comes of it can be kept; what to say of a disk that is full.

    That may pass, and results need no room there; a folder that nobody may write to will not.

    Raises:
        UserError: a folder cannot be written to, or made.
    """
    warnings = []
    for option, folder, kept in (
        ("--artifacts", artifacts, "weights and logs"),
        ("--checkpoints", checkpoints, "states to go on from"),
    ):
        try:
            try_to_write(folder)
        except OSError as error:
            why = error.strerror or str(error)
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                refusal = f"{option}: {folder} cannot keep {kept} ({why}); name another folder"
                raise UserError(refusal) from None
            warnings.append(f"{folder}: {why}: until there is room, no {kept} are kept")
    return warnings
