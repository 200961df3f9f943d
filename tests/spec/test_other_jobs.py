"""What is said of the settings of a study whose job is a user's."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.spec.idle_settings import idle_settings
from tests.support.pruned_studies import MEDIAN
from tests.support.regression import SPEC, regression_study


@pytest.mark.parametrize(("unit", "by"), [("", "1.5"), ("m", "1.5 m"), ("%", "1.5 points")])
def test_a_tolerance_that_no_error_exceeds_is_told_in_its_direction_and_unit(
    tmp_path: Path, unit: str, by: str
) -> None:
    arguments = f', metrics={{"validation_error": Metric(unit="{unit}", title="error", low=0, high=1)}}'
    spec = SPEC + MEDIAN + "patience = 0\nmin_delta = 1.5\n"
    study = regression_study(tmp_path, arguments, spec)
    assert idle_settings(study.spec) == [f"pruner.min_delta: ends no trial: no error rises by {by}"]
