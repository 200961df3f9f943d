"""A sampled search in which nothing is left to be drawn in a part of its space, or in all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.contract.study import LeaseLost
from mnist_tune.search import drawing
from mnist_tune.spec.growth import Amount, Growth
from mnist_tune.study.direct import DirectStudy
from mnist_tune.study.extend import extend_study
from mnist_tune.worker.loop import Ended
from tests.support.contract_calls import ME, taken
from tests.support.studies import folders, new_study, opened_again, work
from tests.worker.test_duplicates import points, train, without_broken_promise

ENDLESS = """
[study]
name = "tiny"

[search]
sampler = "random"
n_trials = {n_trials}

[search.space]
batch_size = {sizes}
optimizer = ["Adam", "SGD"]
momentum = {{low = 0.0, high = 0.9, when = {{optimizer = "SGD", batch_size = 32}}}}

[training]
epochs = 1
"""


@pytest.mark.slow
def test_a_ticket_is_closed_where_only_others_have_a_range(tmp_path: Path) -> None:
    study = new_study(tmp_path, ENDLESS.format(n_trials=30, sizes=[32, 64]))
    work(study, train)
    extend_study(opened_again(study), Growth(points=[{"optimizer": "Adam"}]), "0" * 32)
    assert work(opened_again(study), train) is Ended.FINISHED
    results = without_broken_promise(study, tmp_path)
    assert (results.cells.complete, results.cells.total) == (30, 30)
    told = (results.spec.search.revisions or [])[-1].told
    assert told == "1 trial left out: every configuration with its values is a cell already"


@pytest.mark.slow
def test_a_point_is_found_in_a_small_part_of_the_space_where_all_others_are_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [32, *range(33, 60)]
    n_others = 2 * len(sizes) - 1
    study = new_study(tmp_path, ENDLESS.format(n_trials=n_others + 4, sizes=sizes))
    monkeypatch.setattr(drawing, "DRAWS_AT_RANDOM", 1)  # so few that most miss the one range
    assert work(study, train) is Ended.FINISHED
    results = without_broken_promise(study, tmp_path)
    assert (results.cells.complete, results.cells.total) == (n_others + 4, n_others + 4)
    assert len(set(points(results))) == n_others + 4


def test_a_named_seed_is_not_closed_with_the_tickets_of_another(tmp_path: Path) -> None:
    text = ENDLESS.format(n_trials=4, sizes=[32, 64]).replace("low = 0.0, high = 0.9", "choices = [0.5]")
    study = new_study(tmp_path, text)
    work(study, train)
    extend_study(opened_again(study), Growth(n_trials=Amount(number=1, more=True)), "0" * 32)
    worker = DirectStudy(opened_again(study), folders(tmp_path))
    worker.register(ME)
    blank = taken(worker)
    extend_study(opened_again(study), Growth(points=[{"optimizer": "Adam", "seed": 5}]), "1" * 32)
    with pytest.raises(LeaseLost, match=r"^1 trial left out: the space has only 4 configurations$"):
        worker.parameters(blank)
    assert worker.parameters(taken(worker))["seed"] == 5
