"""Samplers that are installed for the process of a test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnist_tune.search import own_samplers
from tests.support.installed_samplers import NEAR_THE_BEST, Install, install_sampler


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a distribution with samplers for this process."""

    def installed(code: str = NEAR_THE_BEST, entry: str = "near = nearing:NearTheBest") -> None:
        forget()
        folder = tmp_path / f"packages {len(list(tmp_path.glob('packages *')))}"
        install_sampler(folder, code, entry)
        monkeypatch.syspath_prepend(folder)

    def forget() -> None:
        own_samplers.loaded.cache_clear()
        sys.modules.pop("nearing", None)

    yield installed
    forget()
