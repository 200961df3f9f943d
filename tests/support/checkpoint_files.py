"""Checkpoints in a folder."""

from __future__ import annotations

from mnist_tune.files.checkpoints import (
    CheckpointFolder,
)

STATE = b"weights" * 10_000
TOKEN = "0123456789abcdef" * 2
OLD, NEW = f"7-{TOKEN}-1.pt", f"7-{TOKEN}-2.pt"
HALF_WRITTEN = ".0123456789abcdef.tmp"


def names_in(folder: CheckpointFolder) -> set[str]:
    return set(folder.keys())
