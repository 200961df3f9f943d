"""If a worker or `create-study` dies at any point, another finishes what it began."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.forked_processes import run_each
from tests.support.postgres_server import postgres_server
from tests.system.crash_points import Run, campaign, cut_short_everywhere
from tests.system.interrupted_imports import import_three, imported_or_as_before
from tests.system.interrupted_more_epochs import all_ended, give_more, given_or_as_before
from tests.system.interrupted_processes import (
    StudyPlace,
    extend,
    extended_or_as_before,
    half_done,
    migrate,
    migrated_or_as_before,
    of_version_0,
)
from tests.system.interrupted_races import judge, judged_or_as_before, round_done


def assert_that_another_finishes(folder: Path, server: str | None = None, *, first: int, step: int) -> None:
    """End all tasks at every `step`-th point, and check that another finishes each."""
    for came in cut_short_everywhere(StudyPlace(folder, server), first, step):
        print(came)
        assert came.problems == []
        assert came.died >= 0.9 * came.tried


def assert_it_is_whole_or_not_there(
    folder: Path,
    made: Callable[[StudyPlace], None],
    task: Callable[[StudyPlace], None],
    check: Callable[[StudyPlace], list[str]],
    *,
    points: int,
) -> None:
    """End a task at each of its more than `points` points, each time in a copy of what was made before it."""
    before = StudyPlace(folder / "before")
    before.make()
    run_each(made, [before], at_once=1)
    came = campaign(Run(task, check, before))
    print(came)
    assert came.problems == []
    assert came.died == came.tried > points


@pytest.mark.slow
def test_a_migration_that_dies_at_any_of_its_points_is_whole_or_not_there(tmp_path: Path) -> None:
    assert_it_is_whole_or_not_there(tmp_path, of_version_0, migrate, migrated_or_as_before, points=60)


@pytest.mark.slow
def test_growth_that_dies_at_any_of_its_points_is_whole_or_not_there(tmp_path: Path) -> None:
    assert_it_is_whole_or_not_there(tmp_path, half_done, extend, extended_or_as_before, points=30)


@pytest.mark.slow
def test_more_epochs_that_die_at_any_point_are_given_to_all_cells_or_none(tmp_path: Path) -> None:
    assert_it_is_whole_or_not_there(tmp_path, all_ended, give_more, given_or_as_before, points=60)


@pytest.mark.slow
def test_an_import_that_dies_at_any_of_its_points_is_whole_or_not_there(tmp_path: Path) -> None:
    assert_it_is_whole_or_not_there(tmp_path, half_done, import_three, imported_or_as_before, points=20)


@pytest.mark.slow
def test_who_dies_at_any_point_of_a_judgement_leaves_a_round_whole_or_not_there(tmp_path: Path) -> None:
    assert_it_is_whole_or_not_there(tmp_path, round_done, judge, judged_or_as_before, points=30)


@pytest.mark.slow
def test_whoever_dies_at_every_sixth_of_its_points_another_finishes(tmp_path: Path) -> None:
    assert_that_another_finishes(tmp_path, first=0, step=6)


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.parametrize("step", [24, pytest.param(12, marks=pytest.mark.campaign)])
def test_whoever_dies_at_some_of_its_points_another_finishes_on_a_server(tmp_path: Path, step: int) -> None:
    with postgres_server(tmp_path) as url:
        assert_that_another_finishes(tmp_path, url, first=5, step=step)  # each takes a database
