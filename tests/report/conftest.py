"""Fixtures of the report's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.study.open_study import OpenStudy
from tests.support.studies import new_study


@pytest.fixture
def study(tmp_path: Path) -> OpenStudy:
    """A grid of eight cells."""
    return new_study(tmp_path)
