"""A head and its workers under random kills, stalls and cuts; `tests.system.chaos --head` runs any number."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.interrupted_heads import killed_everywhere
from tests.system.own_job_chaos import Campaign, run_campaign


@pytest.mark.slow
def test_a_study_behind_a_head_survives_kills_of_the_head_and_of_its_workers(tmp_path: Path) -> None:
    report = run_campaign(Campaign("function", tmp_path, seed=1, cells=60, epoch_seconds=0.2, head=True))
    print(report)
    assert report.problems == []
    assert report.kills >= 40
    assert report.stalls >= 1
    assert report.cuts >= 1
    assert report.lost >= 5
    assert report.attempts > 60


@pytest.mark.slow
def test_a_head_that_dies_at_some_of_its_points_loses_nothing(tmp_path: Path) -> None:
    assert_that_its_worker_finishes(tmp_path, first=3, step=16)


@pytest.mark.slow
@pytest.mark.campaign
def test_a_head_that_dies_at_any_of_its_points_loses_nothing(tmp_path: Path) -> None:
    assert_that_its_worker_finishes(tmp_path)


def assert_that_its_worker_finishes(folder: Path, *, first: int = 0, step: int = 1) -> None:
    """Kill a head at every `step`-th of its points; another takes its place, and the worker finishes."""
    came = killed_everywhere(folder, first, step)
    print(came)
    assert came.problems == []
    assert came.points > 400
    assert came.died >= 0.9 * came.tried
