"""What a terminal shows of jobs with metrics and units of their own."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from mnist_tune.results.reading import read_results
from mnist_tune.results.study_results import Results
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.terminal.glyphs import UNICODE
from mnist_tune.terminal.live_view import live_view
from mnist_tune.terminal.status_page import status_page
from mnist_tune.terminal.tables import workers_table
from tests.support.made_studies.results import NOW, made_worker
from tests.support.regression import complete_with, regression_study


@pytest.fixture
def study(tmp_path: Path) -> OpenStudy:
    return regression_study(tmp_path)


def printed(renderable: RenderableType, width: int = 120) -> list[str]:
    """The lines of a table without the spaces at their ends."""
    out = io.StringIO()
    Console(file=out, width=width).print(renderable)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def page(results: Results, width: int = 120) -> list[str]:
    """The lines of `status`."""
    return [line.plain for line in status_page(results, UNICODE, width)]


def screen(results: Results, width: int = 120, height: int = 24) -> list[str]:
    """The lines of the live view."""
    return live_view(results, width, height, now=NOW).plain.split("\n")


def test_the_speed_of_a_slow_job_is_not_rounded_to_zero(study: OpenStudy) -> None:
    complete_with(study, 2.0, rate=False, rows_per_second=0.3712)
    worker = replace(made_worker("machine:9"), units_per_second=0.0456)
    results = replace(read_results(study), workers=[worker])
    (cell,) = [line for line in page(results) if "complete" in line]
    assert " 0.37 " in cell
    assert [line for line in screen(results) if " 0.37 " in line]
    assert [line for line in screen(results) if line.startswith("machine:9") and " 0.046 " in line]
    assert [line for line in printed(workers_table(results)) if " 0.046" in line]
    assert results.latest[0].history[0].line(3, results.job).endswith(", 0.37 rows/s")
