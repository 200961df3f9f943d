"""The benchmarks of the queue run. No test compares their speed, but some check that they are exact."""

from __future__ import annotations

import math

import pytest

from tests.benchmarks.grids import balanced_grid
from tests.benchmarks.queue_figures import EXACTNESS, FIGURES
from tests.benchmarks.queue_speed import measure, table


@pytest.mark.parametrize("cells", [8, 20, 100, 1_000, 10_000])
def test_a_balanced_grid_has_as_many_cells_as_asked(cells: int) -> None:
    grid = balanced_grid(cells).search.grid
    assert grid is not None
    lengths = [len(values) for values in grid.values()]
    assert math.prod(lengths) == cells
    assert max(lengths) <= 2.5 * min(lengths)


@pytest.mark.slow
def test_a_crowd_of_our_workers_is_measured_beside_stock_optunas() -> None:
    measurement = measure(4, 8, 1, ["ours", "stock", "stock-enqueued"])
    assert [measurement.figures["ours"][name].highest for name in EXACTNESS] == [0] * 5
    for figures in measurement.figures.values():
        assert figures["trials_per_second"].lowest > 0
        assert figures["claim_p50"].median > 0
    assert measurement.figures["stock"]["surplus_trials"].lowest > 0
    head, *lines = table([measurement]).splitlines()
    assert head.startswith("4 workers, 8 of 8 cells")
    assert head.split()[-3:] == ["ours", "stock", "stock-enqueued"]
    assert len(lines) == len(FIGURES) + 1


def test_a_study_can_be_measured_when_it_is_nearly_finished() -> None:
    measurement = measure(1, 100, 1, ["ours", "stock"], left=5)
    assert measurement.left == 5
    for figures in measurement.figures.values():
        assert [figures[name].highest for name in EXACTNESS] == [0] * 5
