"""Values of a metric as people read them."""

from __future__ import annotations

import math
from itertools import product

import pytest
from rich.cells import cell_len

from mnist_tune.jobs.metric import WIDEST, Metric


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        (Metric(), 0.0123, "0.0123"),
        (Metric(), 1.23456e-05, "1.23e-05"),
        (Metric(unit="m"), 1.23456e-05, "1.23e-05 m"),
        (Metric(unit="%", digits=2), 1.23456e-05, "0.00 %"),
        (Metric(), 999_999.97, "1000000"),
        (Metric(), -1_234_567.8, "-1234568"),
        (Metric(), 9_999_999.7, "1.00e+07"),
        (Metric(), 9.9999e99, "1.0e+100"),
        (Metric(digits=12), 0.0, "0.000000"),
        (Metric(digits=0), 5.0, "5"),
        (Metric(digits=1), 0.5, "0.5"),
        (Metric(), math.nan, "nan"),
        (Metric(), -math.inf, "-inf"),
    ],
)
def test_a_value_has_as_many_digits_as_tell_something(metric: Metric, value: float, text: str) -> None:
    assert metric.text(value) == text


SIZES = [0.0, *(1.0 * 10**power for power in (-320, -100, -5, -1, 0, 5, 6, 7, 99, 100, 308)), math.inf]


@pytest.mark.parametrize("digits", range(13))
@pytest.mark.parametrize("unit", ["", "m", "kilometres", "公尺"])
def test_every_value_fits_into_the_room_of_its_metric(digits: int, unit: str) -> None:
    metric, from_zero = Metric(unit=unit, digits=digits), Metric(unit=unit, digits=digits, low=0)
    assert from_zero.room == metric.room - 1
    for size, part in product(SIZES, (1.0, 0.99999999, 1.7)):
        assert cell_len(metric.text(-size * part)) <= metric.room
        assert cell_len(from_zero.text(size * part)) <= from_zero.room
        assert len(metric.number(size * part)) <= WIDEST


def test_a_percentage_needs_no_more_room_than_its_ends() -> None:
    assert Metric(unit="%", digits=2, low=0, high=100).room == len("100.00 %")
