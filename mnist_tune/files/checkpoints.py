"""Stores training states between two attempts at a cell, as named blobs in a folder.

The hash in the trial is the only pointer to a checkpoint: a blob to which no trial points has no meaning, and
a blob that does not match its hash is not used.
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
    """The pointer to a training state after `epoch` epochs."""

    key: str
    sha256: str
    epoch: int


class CheckpointUnusable(Exception):  # noqa: N818 - an outcome: the trial begins anew
    """A state cannot be loaded; the message says why."""


class CheckpointStore(Protocol):
    """Named blobs. All methods raise OSError when the store is away, full or forbidden."""

    def write(self, key: str, content: bytes | memoryview) -> None:
        """Store a blob, whole or not at all."""

    def read(self, key: str) -> bytes:
        """The content of a blob. Raises FileNotFoundError if there is none."""

    def delete(self, key: str) -> None:
        """Delete a blob if it is there."""

    def keys(self) -> list[str]:
        """The names of all blobs, including those left half written."""

    def remove_if_empty(self) -> None:
        """Remove what the store itself needs, such as its folder, if no blob is left."""


class CheckpointFolder:
    """A store in a folder of its own, which several machines may share.

    `parent` is a folder that we have named and made: it is removed when it is empty. With `keeps` nothing is
    deleted, since other studies may need it.
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
        """Remove the folder, and the one above it if it is ours, where they are empty."""
        for folder in filter(None, (self.path, self._parent)):
            with suppress(OSError):
                folder.rmdir()

    def keys(self) -> list[str]:
        names = [entry.name for entry in self.path.iterdir()] if self.path.is_dir() else []
        return [name for name in names if stored_names.is_of_a_checkpoint(name)]  # other files are not ours


def checkpoint_key(trial_id: int, token: str, epoch: int) -> str:
    """The name of a checkpoint. The claim's token keeps attempts apart that do not know of each other."""
    return f"{trial_id}-{token}-{epoch}.pt"


def is_older(key: str, other: str) -> bool:
    """Whether the state with this key is an older one of the same attempt than the other."""
    (attempt, _, number), (of_other, _, number_of_other) = key.rpartition("-"), other.rpartition("-")
    return attempt == of_other and int(number.removesuffix(".pt")) < int(number_of_other.removesuffix(".pt"))


def save(store: CheckpointStore, name: str, epoch: int, content: bytes | memoryview) -> Checkpoint:
    """Write a state and return the pointer to it. Raises OSError."""
    store.write(name, content)
    return Checkpoint(name, hashlib.sha256(content).hexdigest(), epoch)


def load(store: CheckpointStore, checkpoint: Checkpoint) -> bytes:
    """Read a training state.

    Raises:
        CheckpointUnusable: it is missing, unreadable, or not what was written.
    """
    try:
        content = store.read(stored_names.checkpoint_key(checkpoint.key))
    except ValueError as error:  # the name comes from the storage, and we give no such names
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
    """Delete blobs that no trial points to that needs them, and that no running trial may soon point to.

    `names` must have been listed before `referenced` and `running` were read. Returns how many were deleted.
    """
    orphans = [name for name in names if name not in referenced and _trial_id(name) not in running]
    for name in orphans:
        store.delete(name)
    return len(orphans)


def _trial_id(name: str) -> int | None:
    head = name.partition("-")[0]
    return int(head) if head.isdigit() else None
