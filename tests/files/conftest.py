"""Fixtures of the tests of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.files.checkpoints import (
    CheckpointFolder,
)


@pytest.fixture
def folder(tmp_path: Path) -> CheckpointFolder:
    return CheckpointFolder(tmp_path / "states")
