"""A study with a race over seeds grows, is copied and is made again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mnist_tune.contract.claim import Standing
from mnist_tune.contract.study import new_token
from mnist_tune.errors import UserError
from mnist_tune.results.reading import read_results
from mnist_tune.spec.growth import Amount, Growth
from mnist_tune.spec.replicates import bytes_of_race
from mnist_tune.spec.rounds import Ending
from mnist_tune.storage.engine import storage_url
from mnist_tune.study import extend
from mnist_tune.study.copy import copy_study
from mnist_tune.study.extend import extend_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import create_study, open_study
from tests.support.settling_studies import (
    CLEAR,
    alike_value,
    broken,
    made_value,
    rounds,
    run_through,
    seeds_by_rate,
    worker_of,
)
from tests.support.specs import tiny_spec
from tests.support.studies import folders, new_study, opened_again


@pytest.fixture
def study(database: str, tmp_path: Path) -> OpenStudy:
    """Three configurations with two seeds each."""
    return new_study(tmp_path, CLEAR, database)


def test_new_configurations_catch_up_seed_by_seed(study: OpenStudy, tmp_path: Path) -> None:
    worker = worker_of(study, tmp_path)
    run_through(worker, alike_value)
    assert rounds(study)[-1].ending is Ending.TIED
    extend_study(opened_again(study), Growth(values={"learning_rate": [0.5, 0.05]}), new_token())
    assert not read_results(opened_again(study)).is_finished

    def value(cell: Any) -> float:
        return 20.0 + cell["seed"] / 10 if cell["learning_rate"] == 0.5 else alike_value(cell)

    assert run_through(worker, value) is Standing.FINISHED
    seeds = seeds_by_rate(study)
    assert seeds[0.05] == list(range(6))
    assert 2 <= len(seeds[0.5]) < 6
    assert [one.seeds for one in rounds(study)] == [2, 3, 4, 5, 6, 2, 3, 4, 5, 6]
    assert rounds(study)[-1].ending is Ending.TIED
    assert broken(study, tmp_path) == []


def test_what_joins_is_refused_if_the_record_of_its_race_would_be_too_long(
    study: OpenStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, more = worker_of(study, tmp_path), Growth(values={"learning_rate": [0.5]})
    run_through(worker, alike_value)
    raced = opened_again(study)
    length = len(json.dumps(raced.spec.stored()))
    monkeypatch.setattr(extend, "MOST_BYTES", length + 1000)
    with pytest.raises(UserError, match=r"^extend: the spec would have .* this study can grow no further"):
        extend_study(raced, more, new_token())
    monkeypatch.undo()
    spec = extend_study(raced, more, new_token()).spec
    run_through(worker, alike_value)
    assert (rules := spec.replicates) is not None
    grown = len(json.dumps(opened_again(study).spec.stored()))
    assert len(json.dumps(spec.stored())) < grown <= length + bytes_of_race(rules, spec.search)


def test_what_joins_later_adds_to_the_chance_that_the_best_is_dropped(
    study: OpenStudy, tmp_path: Path
) -> None:
    worker = worker_of(study, tmp_path)
    assert run_through(worker, made_value) is Standing.FINISHED
    before = read_results(opened_again(study)).race
    assert before is not None
    assert [line.partition("(")[2] for line in before.lines()] == ["a better one is dropped in 5 % at most)"]
    extend_study(opened_again(study), Growth(values={"learning_rate": [0.5]}), new_token())
    assert run_through(worker, made_value) is Standing.FINISHED
    after = read_results(opened_again(study)).race
    assert after is not None
    assert rounds(study)[-1].ending is Ending.BEST
    # Three at first, with two rivals each, spend 5 %; a fourth, with three, adds a third of that.
    assert [line.partition("(")[2] for line in after.lines()] == [
        "a better one is dropped in 6.67 % at most)"
    ]


def test_an_axis_that_comes_in_the_middle_of_a_race_brings_configurations_of_its_own(
    study: OpenStudy, tmp_path: Path
) -> None:
    worker = worker_of(study, tmp_path)
    run_through(worker, alike_value, most=8)
    extend_study(opened_again(study), Growth(values={"weight_decay": [0.01]}), new_token())
    assert run_through(worker, alike_value) is Standing.FINISHED
    assert len(seeds_by_rate(study)[0.1]) == 2 * 6
    assert rounds(study)[-1].ending is Ending.TIED
    assert len(rounds(study)[-1].rivals) == 5
    assert broken(study, tmp_path) == []


def test_a_known_point_joins_with_all_the_seeds_to_start_with(study: OpenStudy, tmp_path: Path) -> None:
    extend_study(opened_again(study), Growth(points=[{"learning_rate": 0.3}]), new_token())
    assert seeds_by_rate(study)[0.3] == [0, 1]
    assert run_through(worker_of(study, tmp_path), alike_value) is Standing.FINISHED
    assert seeds_by_rate(study)[0.3] == list(range(6))
    assert broken(study, tmp_path) == []


@pytest.mark.parametrize("wanted", [Growth(seeds=Amount(number=2, more=True)), Growth(values={"seed": [7]})])
def test_nobody_else_gives_seeds(study: OpenStudy, wanted: Growth) -> None:
    with pytest.raises(UserError, match=r"^extend: seeds: \[replicates\] gives the seeds of this study"):
        extend_study(study, wanted, new_token())


def test_the_same_spec_is_the_same_study_also_after_its_race(study: OpenStudy, tmp_path: Path) -> None:
    run_through(worker_of(study, tmp_path), alike_value)
    assert not create_study(study.storage, tiny_spec(tmp_path, CLEAR))
    with pytest.raises(UserError, match=r"replicates\.max is 6 there and 7 here"):
        create_study(study.storage, tiny_spec(tmp_path, CLEAR.replace("max = 6", "max = 7")))


def test_a_copy_settles_on_its_own(study: OpenStudy, tmp_path: Path) -> None:
    run_through(worker_of(study, tmp_path), alike_value, most=7)
    url = storage_url(f"sqlite:///{tmp_path}/copy.db")
    copy_study(opened_again(study), url, None, folders(tmp_path), folders(tmp_path / "copy"))
    copy = open_study(type(study.storage)(url), "tiny")
    assert run_through(worker_of(copy, tmp_path / "copy"), alike_value) is Standing.FINISHED
    assert rounds(copy)[-1].ending is Ending.TIED
    assert broken(copy, tmp_path / "copy") == []
