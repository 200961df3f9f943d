"""The dashboard's notes for a job with metrics of its own."""

from __future__ import annotations

from pathlib import Path

from tests.support.dashboard_client import Client, app_of
from tests.support.regression import complete_with, regression_study


def test_a_note_has_the_jobs_names_and_units(tmp_path: Path) -> None:
    study = regression_study(
        tmp_path, ', unit="rows", metrics={"validation_error": Metric(unit="m", digits=1)}'
    )
    complete_with(study, 9.0, 4.0)
    detail = Client(app_of(study, tmp_path)).detail(study)
    note = detail["trials"][0]["note"]["body"]
    assert "**is complete** with a validation error of **4.0 m**" in note
    assert "Last epoch 2/3: training error 2.0000, validation error 4.0 m, 1,000 rows/s." in note
    assert 'file = "regression.py:train"' in detail["note"]["body"]
    assert not [word for word in ("accuracy", "image") if word in note + detail["note"]["body"]]
