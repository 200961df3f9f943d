"""The benchmark of the dashboard runs and has the right result types; no test compares its times."""

from __future__ import annotations

import pytest

from tests.benchmarks.dashboard_load import Kind, measure, table
from tests.benchmarks.dashboard_pages import NOBODY, OURS, STOCK


@pytest.mark.slow
def test_workers_are_measured_with_nobody_looking_and_under_each_dashboard() -> None:
    measurement = measure(Kind(cells=8, seconds=0.2, epochs=2), workers=2, repeats=1, pages=2, settle=0)
    assert measurement.lock_errors == measurement.failures == {NOBODY: 0, OURS: 0, STOCK: 0}
    assert measurement.answers[NOBODY] == 0
    assert measurement.answers[OURS] >= 4
    assert measurement.slowest_answer[OURS] > 0
    assert measurement.ratio.keys() == {OURS, STOCK}
    assert all(rate.lowest > 0 for rate in measurement.trials_per_second.values())
    head, *lines = table([measurement]).splitlines()
    assert head.startswith("2 workers, 8 trials of 0.2 s")
    assert head.split()[-4:] == ["nobody", "looks", "ours", "stock"]
    assert len(lines) == 6
