"""A folder for the time that one process needs it, of which others can tell when the process was killed."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK = ".lock"


@contextmanager
def own_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder in `parent`, whose name begins with `prefix`; it is gone after the block.

    Those that killed processes have left there with this prefix are removed first. Raises OSError.
    """
    clear_up(parent, prefix)
    folder, lock = _made(parent, prefix)
    try:
        yield folder
    finally:
        with suppress(OSError):
            _remove(folder)
        os.close(lock)


def clear_up(parent: Path, prefix: str) -> None:
    """Remove the folders of processes that were killed: nobody holds their locks any more."""
    for folder in parent.glob(f"{prefix}*"):
        if folder.is_symlink():
            continue
        with suppress(OSError):  # it is another user's, or has just been made or removed
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(folder)
            finally:
                os.close(lock)


def _remove(folder: Path) -> None:
    """Remove a folder in which a child of its killed owner may still write. Raises OSError.

    It is renamed first, so that whoever writes there by its name finds no folder any more. The lock goes
    last: if this process is killed here, the next one sees that the folder is abandoned.
    """
    doomed = folder.with_name(f"{folder.name}-")
    folder.rename(doomed)
    for each in doomed.iterdir():
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        elif each.name != LOCK:
            each.unlink()
    (doomed / LOCK).unlink(missing_ok=True)
    doomed.rmdir()


def _made(parent: Path, prefix: str) -> tuple[Path, int]:
    """A new folder, and the descriptor of its lock."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                os.close(lock)
                raise
            (folder / LOCK).unlink()  # this disk has no locks: nobody may take it for abandoned
            return folder, lock
        if (folder / LOCK).exists():  # else another process has taken it for abandoned, before it was locked
            return folder, lock
        os.close(lock)
