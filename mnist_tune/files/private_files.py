"""Reads and changes files that only their owner may read: hashes of tokens, the key of a certificate."""

from __future__ import annotations

import fcntl
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mnist_tune.errors import UserError
from mnist_tune.files.atomic_write import make_folder, open_file

OWNER_ONLY = 0o600
"""The mode of a file that only its owner may read and write."""
OTHERS = 0o077
"""The bits of a mode that give other users rights."""


def read_private(path: Path) -> bytes:
    """The content of a file that nobody but its owner can open; a link is followed.

    Raises:
        UserError: other users have rights to it.
        OSError: it cannot be read.
    """
    with open_file(path.resolve()) as source:
        if os.fstat(source.fileno()).st_mode & OTHERS:
            raise UserError(f"{path}: is open to other users; run: chmod 600 {shlex.quote(str(path))}")
        return source.read()


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Hold the lock on changes of a file; waits while another process or thread holds it. Raises OSError.

    The lock is a file beside it that stays: the file itself is replaced whenever it is written.
    """
    make_folder(path.parent)
    beside = path.with_name(f"{path.name}.lock")
    # Open for writing: a file server locks nothing for those who only read.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(beside, flags, OWNER_ONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
