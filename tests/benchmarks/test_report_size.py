"""The benchmark of the report runs and has the right result types."""

from __future__ import annotations

import pytest

from tests.benchmarks.report_size import FIGURES, measure, table

pytestmark = pytest.mark.browser


def test_our_page_is_measured_beside_stock_figures() -> None:
    figures = measure(12, 2, 1)
    for measured in figures.values():
        assert 3 < measured["size"].median < 15
        assert 0 < measured["loaded"].median <= measured["drawn"].median
    head, *lines = table(figures).splitlines()
    assert head.split() == ["ours", "stock"]
    assert len(lines) == len(FIGURES)
