"""The report of a job with metrics of its own, whose objective is made small."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.report.page import page
from mnist_tune.report.panels import logarithmic
from mnist_tune.report.section import Picture
from mnist_tune.study.open_study import OpenStudy
from tests.support.regression import SPEC, complete_with, regression_study
from tests.support.report_contents import picture_of, report_of, traces_of

METERS = ', unit="rows", metrics={"training_error": Metric(unit="m"), "validation_error": Metric(unit="m")}'


@pytest.fixture
def study(tmp_path: Path) -> OpenStudy:
    """A grid whose third cell is the best one."""
    study = regression_study(tmp_path)
    for error in (4.0, 2.0, 1.0, 3.0):
        complete_with(study, 10 * error, 5 * error, error, r2=1 / error)
    return study


def titles(picture: Picture) -> list[str]:
    assert picture.figure is not None
    return [note.text for note in picture.figure.layout.annotations]


def test_there_is_a_panel_for_each_metric_the_objective_last(study: OpenStudy) -> None:
    curves = picture_of(report_of(study), "curves")
    *metrics, closer = titles(curves)
    assert metrics == ["training error (logarithmic)", "r2", "validation error (logarithmic)"]
    assert closer == "validation error, close up"
    best = [trace for trace in traces_of(curves) if trace["yaxis"] == "y3"][-1]
    assert best["name"] == "best: 0.1 / 64"
    assert best["y"] == [10, 5, 1]
    assert "went from 10.0000 after epoch 1 to 1.0000 after epoch 3 (trial 2)" in curves.answer
    (table,) = curves.tables
    assert table.columns[-3:] == ["training error", "r2", "validation error"]
    assert [row[0] for row in table.rows] == ["2", "1", "3", "0"]


def test_a_close_up_of_a_minimised_objective_shows_the_lowest_values(tmp_path: Path) -> None:
    study = regression_study(tmp_path, METERS + ", noise=Normal(deviation=0.5)")
    complete_with(study, 900.0, 11.0, 10.0)
    complete_with(study, 1_000.0, 800.0, 700.0)
    curves = picture_of(report_of(study), "curves")
    assert curves.figure is not None
    *_, whole, closer = titles(curves)
    assert (whole, closer) == ("validation error (logarithmic)", "validation error, close up")
    assert curves.figure.layout.yaxis2.type == "log"
    assert curves.figure.layout.yaxis2.ticktext[0].endswith(" m")
    vertical = curves.figure.layout.yaxis3
    assert (vertical.type, vertical.ticksuffix) == (None, " m")
    assert list(vertical.range) == pytest.approx([9.8, 12.0])
    assert "one reading is uncertain by ± 0.9800 m" in curves.answer


def test_numbers_that_are_none_hide_no_curve(tmp_path: Path) -> None:
    study = regression_study(tmp_path)
    complete_with(study, 100.0, 10.0, 1.0, gradient=float("inf"))
    complete_with(study, 100.0, 10.0, 2.0, gradient=float("nan"))
    complete_with(study, 100.0, 10.0, 3.0, gradient=1.0)
    assert titles(picture_of(report_of(study), "curves"))[:2] == ["training error (logarithmic)", "gradient"]


@pytest.mark.parametrize(("low", "high"), [(1e-300, 1e300), (5e-324, 1.7e308), (1e-8, 1.0), (2.0, 3.0)])
def test_a_logarithmic_axis_has_few_finite_labels(low: float, high: float) -> None:
    axis = logarithmic(low, high)
    ticks = axis["tickvals"]
    assert isinstance(ticks, list)
    assert 2 <= len(ticks) <= 12
    assert max(ticks) < float("inf")


def test_the_headline_makes_no_claim_about_one_run(study: OpenStudy) -> None:
    head = report_of(study).headline
    assert head.winner == "learning_rate=0.1, width=64"
    (only,) = head.numbers
    assert (only.label, only.value, only.interval) == ("validation error, one seed", "1.0000", "one run")
    assert only.words == "How much another seed would change is not known: run more seeds."
    assert head.next_step == ""
    assert 'file = "regression.py:train"' in head.configuration
    assert "validation_error = 1.0" in head.configuration
    assert head.ranking is not None
    assert [row[0] for row in head.ranking.rows] == ["1", "2", "3", "4"]
    assert [row[3] for row in head.ranking.rows] == ["1.0000", "2.0000", "3.0000", "4.0000"]
    assert head.ranking.columns[3] == "validation error"


def test_the_headlines_interval_over_seeds_is_in_the_metrics_unit(tmp_path: Path) -> None:
    study = regression_study(tmp_path, METERS, SPEC.replace("width = [32, 64]", "seed = [0, 1]"))
    for error in (210.0, 190.0, 400.0, 410.0):
        complete_with(study, error)
    (only,) = report_of(study).headline.numbers
    assert (only.label, only.value) == ("validation error, mean of 2 seeds", "200.0000 m")
    assert only.interval == "95 % interval 72.9380 to 327.0620 m"
    assert "not the luck of the validation data" in only.words


def test_the_heat_map_is_light_where_the_objective_is_low(study: OpenStudy) -> None:
    grid = picture_of(report_of(study), "grid")
    assert grid.question == "Where in the grid is validation error low?"
    assert "between 1.0000 and 4.0000, lowest at 0.1 / 64" in grid.answer
    assert grid.figure is not None
    assert grid.figure.layout.coloraxis.reversescale is True
    (table,) = grid.tables
    assert [row[3] for row in table.rows] == ["1.0000", "2.0000", "3.0000", "4.0000"]


def test_one_value_has_a_colour_scale_of_its_size(tmp_path: Path) -> None:
    study = regression_study(tmp_path)
    complete_with(study, 1e-4)
    grid = picture_of(report_of(study), "grid")
    assert grid.figure is not None
    scale = grid.figure.layout.coloraxis
    assert (scale.cmin, scale.cmax) == pytest.approx((0.99e-4, 1.01e-4))


def test_lines_through_low_values_are_the_thickest(study: OpenStudy) -> None:
    parallel = picture_of(report_of(study), "parallel")
    *bands, winner = traces_of(parallel)
    assert [band["name"] for band in bands] == ["4.0000", "3.0000", "2.0000", "1.0000"]
    widths = [band["line"]["width"] for band in bands]
    assert widths == sorted(widths)
    assert winner["y"] == bands[-1]["y"]
    assert parallel.answer.endswith("The best 2 of 4 share width 64.")
    (table,) = parallel.tables
    assert [row[0] for row in table.rows] == ["2", "1", "3", "0"]


def test_the_winner_has_its_star_whatever_the_size_of_the_values(tmp_path: Path) -> None:
    study = regression_study(tmp_path)
    for error in (4e-12, 2e-12, 1e-12, 3e-12):
        complete_with(study, error)
    report = report_of(study)
    stars = [each for each in traces_of(picture_of(report, "slices")) if each["name"] == "best"]
    assert [star["y"] for star in stars] == [[1e-12], [1e-12]]
    *bands, winner = traces_of(picture_of(report, "parallel"))
    assert winner["y"] == bands[-1]["y"]


@pytest.mark.slow
def test_the_speed_is_in_the_jobs_unit(study: OpenStudy) -> None:
    speed = picture_of(report_of(study), "throughput")
    assert "120 training rows in" in speed.answer
    assert speed.tables[0].columns == ["worker", "rows", "time in epochs", "rows/s"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("", "The job does not say what an epoch goes through (its unit), so that no speed is known."),
        (', unit="rows"', "The job has not reported how many rows its epochs went through."),
    ],
)
def test_without_a_speed_the_report_says_why(tmp_path: Path, arguments: str, why: str) -> None:
    study = regression_study(tmp_path, arguments)
    complete_with(study, 1.0, rate=False)
    speed = picture_of(report_of(study), "throughput")
    assert (speed.figure, speed.answer) == (None, why)


def test_nothing_of_the_built_in_job_is_in_the_report_of_another(study: OpenStudy) -> None:
    report = report_of(study)
    assert report.gallery is None
    said = [
        *(f"{picture.question} {picture.answer}" for picture in report.pictures),
        *(f"{figure.label} {figure.words}" for figure in report.headline.numbers),
        *report.headline.evidence,
        *(column for picture in report.pictures for table in picture.tables for column in table.columns),
    ]
    for word in ("accuracy", "image", "digit", "MNIST", "98.94", " %", "points"):
        assert not [text for text in said if word in text]
    assert "98.94" not in page(report)


def test_the_report_shows_the_speed_of_a_slow_job(tmp_path: Path) -> None:
    study = regression_study(tmp_path)
    complete_with(study, 1.0, 1.0, rate=False, rows_per_second=0.37)
    speed = picture_of(report_of(study), "throughput")
    assert ": 0.37 rows/s on average" in speed.answer
    assert speed.tables[0].rows[0][-1] == "0.37"
    (line,) = traces_of(speed)
    assert max(line["y"]) == pytest.approx(0.37, rel=1e-3)
    assert "0.37 rows/s" in line["text"]


def test_the_report_says_how_the_winner_is_trained_and_measured(tmp_path: Path) -> None:
    study = regression_study(tmp_path, ", evaluate=print")
    complete_with(study, 1.0)
    report = report_of(study)
    vouching = "--job regression.py:train"
    assert report.headline.vouching == f" {vouching}"
    assert f"mnist-tune evaluate models/best {vouching}" in report.headline.next_step
    assert f"mnist-tune train best.toml {vouching}" in page(report)
