"""What a search cannot be given is refused in one line, and nothing is changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mnist_tune.contract.study import new_token
from mnist_tune.errors import UserError
from mnist_tune.spec.growth import Amount, Growth
from mnist_tune.spec.revisions import Point
from mnist_tune.storage.keys import MOST_BYTES
from mnist_tune.study.extend import extend_study
from mnist_tune.study.open_study import OpenStudy
from tests.support.specs import TWO_CELLS, tiny_spec
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
        (Growth(seeds=Amount(number=10**9)), "seed: 999,999,999 more are too many; write at most 1,000"),
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
    longer = Growth(points=[{"learning_rate": 0.001, "epochs": 20}])
    with pytest.raises(UserError, match=r"^enqueue: epochs: \[pruner\] hyperband divides the trials by"):
        extend_study(study, longer, new_token())
    extend_study(study, RATE, new_token())
    assert len(states(study)) == 3


def grow_in_small_steps(study: OpenStudy) -> None:
    for number in range(10):
        extend_study(study, Growth(values={"learning_rate": [0.3 + number / 10]}), new_token())


def test_a_study_whose_spec_is_full_is_followed_by_another_that_takes_over_its_results(
    tmp_path: Path,
) -> None:
    study = new_study(tmp_path)
    point: Point = {"learning_rate": 0.1000001, "batch_size": 64, "optimizer": "Adam"}
    room = MOST_BYTES - len(json.dumps(study.spec.stored()))
    count = room // (len(json.dumps(point)) + 2)
    points = [point | {"learning_rate": float(f"0.1{number:05d}1")} for number in range(count)]
    with pytest.raises(
        UserError, match=r" bytes, more than 65,535: add fewer points or values to this study, or"
    ):
        extend_study(study, Growth(points=points), new_token())
    extend_study(study, Growth(points=points[:-5]), new_token())
    with pytest.raises(UserError) as told:
        grow_in_small_steps(study)
    assert str(told.value).endswith(
        ": this study can grow no further; make another one, which takes over its results with --reuse tiny"
    )


def test_a_point_beside_a_grid_has_a_seed_only_if_the_grid_has_seeds(tmp_path: Path) -> None:
    known = TWO_CELLS.replace(
        "[search.grid]", "[search]\nenqueue = [{learning_rate = 0.002, seed = 3}]\n[search.grid]"
    )
    with pytest.raises(UserError, match=r"enqueue\.0\.seed: is no axis; write seed = \[0\] in \[search"):
        tiny_spec(tmp_path, known)
    assert tiny_spec(tmp_path, known + "seed = [0]\n").n_cells == 3
