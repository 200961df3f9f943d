"""How much room files may take on a head: a disk that is full would stop the database too."""

from __future__ import annotations

import errno
import math
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.filesize import decimal

from mnist_tune.files.writable import nearest

FREE_DISK = 1_000_000_000
"""The bytes of a disk that are left free."""
SECONDS_BETWEEN_COUNTS = 30.0
"""How long a count of the files' sizes is used; what has arrived since is added."""
SECONDS_BETWEEN_LOOKS = 1.0
"""The same when the quota is reached: files may have been deleted."""


class Room:
    """Refuses files for which there is no room. Results are stored all the same: they need next to none."""

    def __init__(self, folders: Sequence[Path], quota: int | None = None, free_disk: int = FREE_DISK) -> None:
        """`quota`: the most bytes that all files may have; `free_disk`: how many are always left free."""
        self._folders = folders
        self._quota = quota
        self._free_disk = free_disk
        self._lock = threading.Lock()
        self._arriving = 0
        """The bytes of files that are on their way. Some are on the disk: they count twice for a while."""
        self._counted = 0
        self._counted_at = -math.inf

    @property
    def folder(self) -> Path:
        """Beside one of the folders, on its disk."""
        return self._folders[-1].parent

    def taken(self) -> int:
        """The bytes of all files that are there now."""
        return sum(_size(path) for folder in self._folders for path in folder.rglob("*"))

    @contextmanager
    def reserved(self, folder: Path, size: int, *, stays: bool = True) -> Iterator[None]:
        """Hold `size` bytes for a file in `folder` until the block ends. Raises OSError: there is no room.

        What does not stay after the block needs room on the disk, and none of the quota.
        """
        with self._lock:
            self._check(folder, size, in_quota=stays)
            self._arriving += size
        try:
            yield
        except BaseException:
            with self._lock:
                self._arriving -= size
            raise
        with self._lock:
            self._arriving -= size
            self._counted += (
                size if stays else 0
            )  # the file that it replaces is counted too until the next count

    def _check(self, folder: Path, size: int, *, in_quota: bool) -> None:
        free = shutil.disk_usage(nearest(folder)).free
        if free - self._arriving - size < self._free_disk:
            raise _no_room(
                f"the head's disk has {decimal(free)} left, and keeps {decimal(self._free_disk)} free"
            )
        if self._quota is None or not in_quota:
            return
        now = time.monotonic()
        is_full = self._counted + self._arriving + size > self._quota
        if now > self._counted_at + (SECONDS_BETWEEN_LOOKS if is_full else SECONDS_BETWEEN_COUNTS):
            self._counted = self.taken()
            self._counted_at = now
        if self._counted + self._arriving + size > self._quota:
            raise _no_room(f"the head's files have reached their quota of {decimal(self._quota)}")


def _no_room(why: str) -> OSError:
    return OSError(errno.ENOSPC, why)


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:  # it was deleted meanwhile
        return 0
