"""A study of a job with metrics of its own, from Python."""

from __future__ import annotations

from pathlib import Path

import pytest

import mnist_tune
from tests.support.regression import complete_with, regression_study


@pytest.fixture
def study(tmp_path: Path) -> mnist_tune.Study:
    """Two of four cells are complete; only the second has reported an r2."""
    stored = regression_study(tmp_path)
    complete_with(stored, 9.0, 4.0)
    complete_with(stored, 5.0, 2.0, r2=0.5)
    return mnist_tune.open_study("regression", tmp_path / "studies.db")


def test_the_history_has_the_jobs_metrics_and_its_speed(study: mnist_tune.Study) -> None:
    frame = study.history_dataframe()
    assert list(frame.columns) == [
        *("number", "cell", "params_learning_rate", "params_width", "epoch"),
        *("training_error", "r2", "validation_error", "rows_per_second", "seconds", "inherited"),
    ]
    assert list(frame.validation_error) == [9.0, 4.0, 5.0, 2.0]
    assert list(frame.r2.isna()) == [True, True, False, False]
    assert set(frame.rows_per_second) == {1_000.0}


def test_a_job_that_counts_nothing_has_no_speed(tmp_path: Path) -> None:
    complete_with(regression_study(tmp_path, ""), 1.0, rate=False)
    frame = mnist_tune.open_study("regression", tmp_path / "studies.db").history_dataframe()
    assert list(frame.columns[-4:]) == ["training_error", "validation_error", "seconds", "inherited"]


def test_the_best_has_the_lowest_error(study: mnist_tune.Study) -> None:
    assert study.best is not None
    assert study.best.mean == 2.0
    assert study.export()["origin"]["validation_error"] == 2.0
    shown = study._repr_html_()
    assert ">validation error</th>" in shown
    assert shown.index(">2.0000</td>") < shown.index(">4.0000</td>")
    assert "%" not in shown
