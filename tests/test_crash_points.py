"""At whichever point a worker or `create-study` dies, another finishes what it began."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash_points import Run, cut_short, points
from tests.lives import (
    Place,
    create,
    drain,
    finished_by_another,
    half_done,
    whole_or_not_there,
    work_to_the_end,
)
from tests.loaded import run_each
from tests.postgres_server import postgres_server


def cut_short_everywhere(folder: Path, server: str | None = None, first: int = 0, step: int = 1) -> None:
    """End every life at every `step`-th of its points."""
    empty, begun = Place(folder / "empty", server), Place(folder / "begun", server)
    empty.make()
    begun.make()
    run_each(half_done, [begun], at_once=1)
    for whole in (
        Run(create, whole_or_not_there, empty),
        Run(drain, finished_by_another, begun),
        Run(work_to_the_end, finished_by_another, begun),
    ):
        passed = points(whole)
        tried = range(first, len(passed), step)
        outcomes = dict(zip(tried, cut_short(whole, tried), strict=True))
        died = sum(outcome.passed is None for outcome in outcomes.values())
        print(f"{whole.life.__name__}: died at {died} of {len(passed)} points")
        wrong = [
            (point, passed[point], found.problems) for point, found in outcomes.items() if found.problems
        ]
        assert wrong == []
        assert died >= 0.9 * len(tried)


def test_whoever_dies_at_some_of_its_points_another_finishes(tmp_path: Path) -> None:
    cut_short_everywhere(tmp_path, first=7, step=40)


@pytest.mark.slow
def test_whoever_dies_at_any_of_its_points_another_finishes(tmp_path: Path) -> None:
    cut_short_everywhere(tmp_path)


@pytest.mark.slow
@pytest.mark.postgres
def test_whoever_dies_at_every_third_of_its_points_another_finishes_on_a_server(tmp_path: Path) -> None:
    with postgres_server(tmp_path) as url:
        cut_short_everywhere(tmp_path, url, step=3)  # each takes a database
