"""Fixtures of the tests of whole processes and databases."""

from __future__ import annotations

import pytest

from mnist_tune.contract import retrying


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a storage that does not answer be asked again almost at once."""
    monkeypatch.setattr(retrying, "FIRST_PAUSE", 0.01)
