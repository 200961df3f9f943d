"""How much room files may take on a head: a disk that is full would stop the database too."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from rich.filesize import decimal

from mnist_tune.files.writable import nearest
from mnist_tune.serve.bodies import no_room

FREE_DISK = 1_000_000_000
"""The bytes of a disk that are left free."""
SECONDS_BETWEEN_COUNTS = 30.0
"""How long a count of the files' sizes is used; what has arrived since is added."""


class Room:
    """Refuses files for which there is no room. Results are stored all the same: they need next to none."""

    def __init__(self, folders: Sequence[Path], quota: int | None = None, free_disk: int = FREE_DISK) -> None:
        """`quota`: the most bytes that all files may have; `free_disk`: how many are always left free."""
        self._folders = folders
        self._quota = quota
        self._free_disk = free_disk
        self._counted = 0
        self._count_until = 0.0

    @property
    def folder(self) -> Path:
        """Beside one of the folders, on its disk."""
        return self._folders[-1].parent

    def reserve(self, folder: Path, size: int) -> None:
        """Take `size` bytes for a file in `folder`. Raises OSError: there is no room for them."""
        free = shutil.disk_usage(nearest(folder)).free
        if free - size < self._free_disk:
            raise no_room(
                f"the head's disk has {decimal(free)} left, and keeps {decimal(self._free_disk)} free"
            )
        if self._quota is None:
            return
        now = time.monotonic()
        if now > self._count_until:
            self._counted = sum(_size(path) for folder in self._folders for path in folder.rglob("*"))
            self._count_until = now + SECONDS_BETWEEN_COUNTS
        if self._counted + size > self._quota:
            raise no_room(f"the head's files have reached their quota of {decimal(self._quota)}")
        self._counted += size


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:  # it was deleted meanwhile
        return 0
