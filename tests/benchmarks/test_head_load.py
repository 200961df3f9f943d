"""The benchmark of a head under load runs, and checks that nothing is lost; no test compares its times."""

from __future__ import annotations

import pytest

from tests.benchmarks.head_load import measure, table


@pytest.mark.slow
def test_a_few_workers_are_simulated_and_the_study_is_whole() -> None:
    made = measure(workers=5, cells=12, epochs=2, epoch_seconds=0.05)
    assert (made.finished, made.cells, made.attempts, made.refused, made.broken) == (12, 12, 12, 0, [])
    assert {"register", "claim", "record", "complete", "leave"} <= made.by_call.keys()
    assert made.cpu > 0
    assert 0 < made.p50 <= made.p99 <= made.slowest
    assert len(table(made).splitlines()) == 5
