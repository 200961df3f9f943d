"""The benchmark of what a job pays for being hosted runs; no test compares its times."""

from __future__ import annotations

import pytest

from tests.benchmarks.host_cost import measure, table


@pytest.mark.slow
def test_a_function_and_a_command_are_measured_beside_what_they_are_made_of() -> None:
    costs = measure(n_trials=3, epochs=2)
    assert costs.keys() == {"function", "command"}
    assert costs["function"].of_an_epoch is not None
    for cost in costs.values():
        assert 0 < cost.of_a_trial.lowest <= cost.of_a_trial.highest
        assert cost.floor.lowest > 0
    assert len(table(costs).splitlines()) == 3
