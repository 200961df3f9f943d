"""At whichever point a worker or `create-study` dies, another finishes what it began."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.postgres_server import postgres_server
from tests.system.crash_points import cut_short_everywhere
from tests.system.interrupted_processes import StudyPlace


def assert_that_another_finishes(folder: Path, server: str | None = None, *, first: int, step: int) -> None:
    """Whoever dies at every `step`-th point."""
    for campaign in cut_short_everywhere(StudyPlace(folder, server), first, step):
        print(campaign)
        assert campaign.problems == []
        assert campaign.died >= 0.9 * campaign.tried


def test_whoever_dies_at_some_of_its_points_another_finishes(tmp_path: Path) -> None:
    assert_that_another_finishes(tmp_path, first=7, step=80)


@pytest.mark.slow
def test_whoever_dies_at_every_sixth_of_its_points_another_finishes(tmp_path: Path) -> None:
    assert_that_another_finishes(tmp_path, first=0, step=6)


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.parametrize("step", [24, pytest.param(12, marks=pytest.mark.campaign)])
def test_whoever_dies_at_some_of_its_points_another_finishes_on_a_server(tmp_path: Path, step: int) -> None:
    with postgres_server(tmp_path) as url:
        assert_that_another_finishes(tmp_path, url, first=5, step=step)  # each takes a database
