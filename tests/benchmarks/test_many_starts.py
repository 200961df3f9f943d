"""The benchmark of many starts runs and has the right results; no test compares its times."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.many_starts import EXEC, FORK, measure, table


@pytest.mark.slow
def test_workers_by_fork_train_to_the_same_bits_and_share_their_memory(mnist_directory: Path) -> None:
    figures = measure(2, 1, mnist_directory)
    assert figures.same_losses
    assert figures.own_megabytes[FORK].median < figures.own_megabytes[EXEC].median
    assert "the same to the bit" in table(figures, 2)
