"""Intervals of objectives whose noise is not that of a percentage."""

from __future__ import annotations

import pytest

from mnist_tune.results.intervals import read
from mnist_tune.results.significance import Measure


def test_of_one_seed_nothing_is_claimed_unless_the_job_says_how_noisy_it_is() -> None:
    assert read([250.0], Measure(sign=-1), "validation data") is None
    known = read([250.0], Measure(sign=-1, known_deviation=10.0), "validation data")
    assert known is not None
    assert (known.low, known.high) == pytest.approx((230.4, 269.6), abs=0.01)
    assert known.covers == "the noise of one run, as the job describes it"


@pytest.mark.parametrize("values", [[250.0, 260.0], [-3.0, -2.0], [1e-6, 3e-6]])
def test_over_seeds_the_interval_has_no_limits_but_those_of_a_percentage(values: list[float]) -> None:
    reading = read(values, Measure(sign=-1), "validation data")
    assert reading is not None
    half = 12.706 * (values[1] - values[0]) / 2
    assert reading.high - reading.value == pytest.approx(half, rel=1e-4)
    assert reading.value - reading.low == pytest.approx(half, rel=1e-4)
    assert "Student's t over 2 seeds), not the luck of the validation data, which" in reading.covers


def test_seeds_that_agree_are_rounded_by_no_step() -> None:
    reading = read([0.5, 0.5], Measure(sign=-1), "validation data")
    assert reading is not None
    assert (reading.low, reading.high) == (0.5, 0.5)
