"""What a search cannot be given is refused in one line, and nothing is changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.contract.study import new_token
from mnist_tune.errors import UserError
from mnist_tune.spec.growth import Amount, Growth
from mnist_tune.study.extend import extend_study
from tests.support.specs import TWO_CELLS
from tests.support.studies import new_study, opened_again, states

RATE = Growth(values={"learning_rate": [0.003]})
DECAY = Growth(values={"weight_decay": [0, 0.01]})


@pytest.mark.parametrize(
    ("wanted", "complaint"),
    [
        (Growth(n_trials=Amount(number=3)), "n_trials: the study is a grid; give it more values with --add "),
        (Growth(values={"lerning_rate": [1.0]}), "lerning_rate: unknown training field; did you mean"),
        (Growth(values={"batch_size": [0]}), "batch_size: should be greater than or equal to 1, not 0"),
        (Growth(values={"batch_size": [1, 1]}), "batch_size: has the value 1 twice; remove one"),
        (Growth(values={"seed": list(range(1, 1_000)), **DECAY.values}), None),
        (
            Growth(values={"seed": list(range(1_000)), "batch_size": list(range(1, 900))}),
            "search.grid: has 3,596,000 cells, more than 100,000",
        ),
        (
            Growth(seeds=Amount(number=2), values={"seed": [5]}),
            "seed: values and a number of seeds are named",
        ),
    ],
)
def test_what_a_search_cannot_be_given_gets_one_line_and_changes_nothing(
    tmp_path: Path, wanted: Growth, complaint: str | None
) -> None:
    study = new_study(tmp_path)
    if complaint is None:
        assert extend_study(study, wanted, new_token(), dry_run=True).spec.n_cells == 16_000
    else:
        with pytest.raises(UserError) as told:
            extend_study(study, wanted, new_token())
        assert str(told.value).startswith(f"extend: {complaint}")
        assert "\n" not in str(told.value)
    assert opened_again(study).spec == study.spec
    assert len(states(study)) == 8


def test_hyperband_keeps_the_epochs_that_divide_its_trials(tmp_path: Path) -> None:
    study = new_study(tmp_path, TWO_CELLS + '[pruner]\nname = "hyperband"\n')
    with pytest.raises(UserError, match=r"^extend: epochs: \[pruner\] hyperband divides the trials by"):
        extend_study(study, Growth(values={"epochs": [20]}), new_token())
    extend_study(study, RATE, new_token())
    assert len(states(study)) == 3
