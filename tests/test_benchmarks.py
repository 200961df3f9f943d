"""The benchmarks run and answer in the right shape; their figures are nobody's test."""

from __future__ import annotations

import math

import pytest

from tests.benchmarks.queue_scaling import OPERATIONS, SIZES, balanced_grid, measure, table


@pytest.mark.parametrize("cells", [*SIZES, 20])
def test_a_balanced_grid_has_as_many_cells_as_asked(cells: int) -> None:
    grid = balanced_grid(cells).search.grid
    assert grid is not None
    lengths = [len(values) for values in grid.values()]
    assert math.prod(lengths) == cells
    assert max(lengths) <= 2.5 * min(lengths)


def test_the_queue_is_measured_side_by_side_with_stock_optuna() -> None:
    measurements = [measure(cells, repeats=1) for cells in (8, 20)]
    assert [one.cells for one in measurements] == [8, 20]
    for one in measurements:
        assert one.create_study_seconds > 0
        for name in OPERATIONS:
            timing = getattr(one, name)
            assert 0 < timing.lowest == timing.median == timing.highest
            assert timing.repeats == 1
    head, *lines = table(measurements).splitlines()
    assert [line.split()[0] for line in lines] == ["8", "20", "ratio"]
    assert all(name in head for name in OPERATIONS)
