"""Where a logarithmic scale shows what a linear one hides."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from mnist_tune.jobs.loading import built_in_description
from mnist_tune.results.scales import OF_A_SKETCH, OF_AN_AXIS, height_of, is_logarithmic
from tests.support.regression import regression_study

RATE = ', metrics={"validation_error": Metric(unit="%", low=0, high=100), "training_error": Metric(high=1)}'


@pytest.mark.parametrize(
    ("values", "axis", "sketch"),
    [
        ([1.0, 100.0], True, True),
        ([1.0, 50.0], True, False),
        ([1.0, 5.0], False, False),
        ([0.0, 100.0], False, False),
        ([-1.0, 100.0], False, False),
        ([5e-324, 1.7e308], True, True),
        ([], False, False),
    ],
)
def test_values_of_several_sizes_take_a_logarithmic_scale(
    tmp_path: Path, values: list[float], axis: bool, sketch: bool
) -> None:
    job = regression_study(tmp_path).spec.description
    assert is_logarithmic(job, job.objective, values, OF_AN_AXIS) == axis
    assert is_logarithmic(job, job.objective, values, OF_A_SKETCH) == sketch


def test_what_is_good_near_a_highest_value_takes_a_linear_one(tmp_path: Path) -> None:
    accuracy = built_in_description()
    assert not is_logarithmic(accuracy, accuracy.objective, [0.1, 99.0], OF_AN_AXIS)
    error = regression_study(tmp_path, RATE).spec.description
    assert is_logarithmic(error, error.objective, [0.1, 99.0], OF_AN_AXIS)
    assert not is_logarithmic(error, "training_error", [0.001, 0.9], OF_AN_AXIS)


def test_better_values_are_sketched_higher_and_no_value_breaks_the_sketch(tmp_path: Path) -> None:
    job = regression_study(tmp_path).spec.description
    for values in ([1e6, 1e3, 1.0], [3.0, 2.0, 1.0], [1.7e308, 0.0, -1.7e308]):
        height = height_of(job, [*values, math.inf, math.nan])
        heights = [height(value) for value in values]
        assert heights == sorted(heights)
        assert math.isfinite(heights[-1] - heights[0])
        assert height(math.inf) == height(math.nan) == heights[0]
    assert height_of(job, [math.nan])(math.nan) == 0
