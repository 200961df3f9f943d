"""What a terminal shows of jobs with metrics and units of their own."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from mnist_tune.jobs.metric import Metric
from mnist_tune.results.reading import read_results
from mnist_tune.results.study_results import Results
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.terminal.glyphs import ASCII, UNICODE
from mnist_tune.terminal.live_view import live_view
from mnist_tune.terminal.status_page import status_page
from mnist_tune.terminal.tables import ranking, workers_table
from tests.support.made_studies.results import NOW, made_worker
from tests.support.regression import SPEC, complete_with, regression_study


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


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("error", [-1_234_567.8, 1.23456e-05, -9.87e-300, 999_999.97, -0.5])
def test_no_number_of_an_objective_is_cut(tmp_path: Path, width: int, error: float) -> None:
    metric = Metric(unit="kilometres")
    named = ', metrics={"training_error": Metric(), "validation_error": Metric(unit="kilometres")}'
    study = regression_study(tmp_path, named)
    complete_with(study, error, rate=False)
    results = read_results(study)
    for lines in (page(results, width), screen(results, width)):
        assert sum(f" {metric.text(error)} " in f"{line} " for line in lines[1:]) >= 2, lines
    (row,) = [line for line in printed(ranking(results, width), width) if "best so far" in line]
    assert f" {metric.text(error)} " in row


def test_a_searched_number_is_shown_whole(tmp_path: Path) -> None:
    grid = "[search.grid]\nlearning_rate = [0.1, 0.01]\nwidth = [32, 64]\n"
    space = (
        '[search]\nsampler = "random"\nn_trials = 2\n\n'
        "[search.space]\nlearning_rate = { low = 1e-8, high = 1.0 }\n"
    )
    assert grid in SPEC
    study = regression_study(tmp_path, spec=SPEC.replace(grid, space))
    complete_with(study, 1.0)
    (attempt,) = read_results(study).latest[:1]
    drawn = replace(attempt, parameters={"learning_rate": 1.2345e-05})
    results = replace(read_results(study), attempts=[drawn])
    assert [line for line in page(results) if " 1.2345e-05 " in line]


def test_a_metric_may_have_the_name_of_a_field_or_of_a_column(study: OpenStudy) -> None:
    cell = complete_with(study, 2.0, rate=False, width=0.25, rank=0.75, verdict=0.125)
    results = read_results(study)
    _, head, _, row, *_ = printed(ranking(results), 160)
    assert [head.split().count(name) for name in ("width", "rank", "verdict")] == [2, 2, 2]
    assert row.split()[:5] == ["1", "0", str(cell["learning_rate"]), str(cell["width"]), "2.0000"]
    assert {"0.2500", "0.7500", "0.1250"} <= set(row.split())
    assert row.endswith(" best so far")


def test_a_long_name_of_an_objective_does_not_push_it_off_the_screen(tmp_path: Path) -> None:
    study = regression_study(tmp_path)
    complete_with(study, 2.0, rate=False, **{"m" * 60: 1.0})
    results = read_results(study)
    assert "m" * 60 in results.metrics
    assert [line for line in screen(results, 80) if " 2.0000 " in line]
    assert any("mmmm..mmmm" in line for line in page(results, 200))


def test_units_are_in_characters_that_the_terminal_has(tmp_path: Path) -> None:
    study = regression_study(tmp_path, ', metrics={"validation_error": Metric(unit="°C", title="µ")}')
    complete_with(study, 2.0, rate=False)
    results = read_results(study)
    assert live_view(results, 120, 24, now=NOW, ascii_only=True).plain.isascii()
    assert "".join(line.plain for line in status_page(results, ASCII, 120)).isascii()


def test_the_sketch_of_an_error_shows_each_order_of_magnitude(study: OpenStudy) -> None:
    complete_with(study, 1_000.0, 10.0, 0.1, rate=False)
    complete_with(study, 0.01, 0.001, 0.0001, rate=False)
    first, second = (line for line in page(read_results(study)) if "complete" in line)
    assert "▁▃▅" in first
    assert "▆▇█" in second


def test_a_sketch_has_a_place_for_values_that_are_no_numbers(study: OpenStudy) -> None:
    complete_with(study, float("inf"), 2.0, 1.0, rate=False)
    (line,) = [line for line in page(read_results(study)) if "complete" in line]
    assert "▁▁█" in line
