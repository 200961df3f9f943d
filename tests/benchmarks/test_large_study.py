"""The benchmark of large studies runs and has the right result types; no test compares its times."""

from __future__ import annotations

from pathlib import Path

import pytest

import mnist_tune
from tests.benchmarks.large_study import FIGURES, measure, table


@pytest.mark.slow
def test_two_versions_are_measured_side_by_side() -> None:
    itself = Path(mnist_tune.__file__).parent.parent
    figures = measure(3, 2, 1, before=itself)
    assert list(figures) == ["before", "now"]
    for measured in figures.values():
        assert list(measured) == list(FIGURES)
        assert all(figure.lowest > 0 for figure in measured.values())
    head, *lines = table(figures).splitlines()
    assert head.split() == ["before", "now"]
    assert len(lines) == len(FIGURES)
