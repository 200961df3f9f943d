"""Fixtures for the tests of stored values."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.commands import STORED
from tests.support.damaged_values import damaged_storage


@pytest.fixture(scope="session")
def undamaged_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a storage without damage."""
    return damaged_storage(tmp_path_factory.mktemp("template")).parent


@pytest.fixture
def fresh_copy(undamaged_folder: Path, tmp_path: Path) -> Callable[[], Path]:
    """A function that puts a fresh copy of the sound storage in place and returns its file."""

    def copy() -> Path:
        for old in tmp_path.iterdir():
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        shutil.copytree(undamaged_folder, tmp_path, dirs_exist_ok=True)
        return tmp_path / STORED

    return copy
