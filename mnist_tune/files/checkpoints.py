"""Where training states wait between two attempts at a cell: named blobs in a folder, later perhaps a bucket.

The hash in the trial is the only pointer to a checkpoint: a blob that no trial points to means nothing, and
one that does not match its hash is not used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mnist_tune.files import stored_names
from mnist_tune.files.atomic_write import read_file, write_whole
from mnist_tune.files.stored_names import inside


@dataclass(frozen=True)
class Checkpoint:
    """The pointer to a state after `epoch` epochs."""

    key: str
    sha256: str
    epoch: int


class CheckpointUnusable(Exception):  # noqa: N818 - an outcome: the trial begins anew
    """The state cannot be had back; the message says why."""


class CheckpointStore(Protocol):
    """Named blobs. All methods raise OSError when the store is away, full or forbidden."""

    def write(self, key: str, content: bytes | memoryview) -> None:
        """Store a blob, whole or not at all."""

    def read(self, key: str) -> bytes:
        """Raises FileNotFoundError if there is none."""

    def delete(self, key: str) -> None:
        """Whether it is there or not."""

    def keys(self) -> list[str]:
        """All blobs, those too that were left half written."""

    def remove_if_empty(self) -> None:
        """Clear up what nobody needs when no blob is left."""


class CheckpointFolder:
    """A store in a folder of its own, which several machines may share.

    With `parent` that folder goes too when it is empty: it is one that we have named and made. One that
    `keeps` what it has deletes nothing: other studies may need it.
    """

    def __init__(self, path: Path, parent: Path | None = None, *, keeps: bool = False) -> None:
        self.path = path
        self._parent = parent
        self._keeps = keeps

    def write(self, key: str, content: bytes | memoryview) -> None:
        write_whole(inside(self.path, key), content)

    def read(self, key: str) -> bytes:
        return read_file(inside(self.path, key))

    def delete(self, key: str) -> None:
        if not self._keeps:
            inside(self.path, key).unlink(missing_ok=True)

    def remove_if_empty(self) -> None:
        """Leave no empty folders behind a study that is done."""
        for folder in filter(None, (self.path, self._parent)):
            with suppress(OSError):
                folder.rmdir()

    def keys(self) -> list[str]:
        names = [entry.name for entry in self.path.iterdir()] if self.path.is_dir() else []
        return [name for name in names if stored_names.is_of_a_checkpoint(name)]  # the rest is not ours


def checkpoint_key(trial_id: int, token: str, epoch: int) -> str:
    """The name of a state; the claim's token keeps attempts apart that know nothing of each other."""
    return f"{trial_id}-{token}-{epoch}.pt"


def save(store: CheckpointStore, name: str, epoch: int, content: bytes | memoryview) -> Checkpoint:
    """Write a state and return the pointer to it. Raises OSError."""
    store.write(name, content)
    return Checkpoint(name, hashlib.sha256(content).hexdigest(), epoch)


def load(store: CheckpointStore, checkpoint: Checkpoint) -> bytes:
    """Read a state back.

    Raises:
        CheckpointUnusable: it is not there, or not what was written.
    """
    try:
        content = store.read(stored_names.checkpoint_key(checkpoint.key))
    except ValueError as error:  # what a storage says is data: not one of the names that we give
        raise CheckpointUnusable(str(error)) from None
    except FileNotFoundError:
        raise CheckpointUnusable(f"the checkpoint {checkpoint.key} is not there") from None
    except OSError as error:
        raise CheckpointUnusable(
            f"the checkpoint {checkpoint.key} cannot be read: {error.strerror}"
        ) from None
    if hashlib.sha256(content).hexdigest() != checkpoint.sha256:
        raise CheckpointUnusable(f"the checkpoint {checkpoint.key} is damaged: its hash differs")
    return content


def sweep(store: CheckpointStore, names: Iterable[str], referenced: set[str], running: set[int]) -> int:
    """Delete those of `names` that no unfinished trial points to and no running trial may be about to.

    `names` must have been listed before the other two were read. Returns how many were deleted.
    """
    orphans = [name for name in names if name not in referenced and _trial_id(name) not in running]
    for name in orphans:
        store.delete(name)
    return len(orphans)


def _trial_id(name: str) -> int | None:
    head = name.partition("-")[0]
    return int(head) if head.isdigit() else None
