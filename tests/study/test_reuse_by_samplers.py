"""A sampled search that takes over an older study's trials: its sampler learns from them, and they count."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from mnist_tune.contract.claim import Standing
from mnist_tune.contract.study import WorkerFacts, new_token
from mnist_tune.errors import UserError
from mnist_tune.results.reading import read_results
from mnist_tune.search.history import LearntFrom
from mnist_tune.study.direct import DirectStudy
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.reuse import create_study_reusing, finished_cells
from mnist_tune.study.store import open_study
from tests.support.commands import Command
from tests.support.specs import TINY_SPEC, tiny_spec, write_spec
from tests.support.stock_optuna import broken_promises_of
from tests.support.studies import folders, new_study, opened_again, take

NEW = """
[study]
name = "new"

[search]
sampler = "tpe"
n_trials = {n_trials}

[search.space]
learning_rate = {{low = 1e-4, high = 1e-2, log = true}}
batch_size = [64, 128]
optimizer = ["Adam", "SGD"]
momentum = {{low = 0.0, high = 0.9, when = {{optimizer = "SGD"}}}}
{more}
[training]
epochs = 2
precision = "fp32"

[data]
train_size = 200
validation_size = 100
"""


def spec_text(n_trials: int = 20, more: str = "", *changes: tuple[str, str]) -> str:
    text = NEW.format(n_trials=n_trials, more=more)
    for old, new in changes:
        text = text.replace(old, new)
    return text


def made_of(old: OpenStudy, folder: Path, text: str) -> OpenStudy:
    """The study of this spec, with results of the old one."""
    create_study_reusing(old.storage, tiny_spec(folder, text), old.name)
    return open_study(old.storage, "new")


def work_off(study: OpenStudy) -> list[dict[str, Any]]:
    """Have a worker draw and complete every ticket that waits; returns what was drawn."""
    direct, seen = DirectStudy(opened_again(study), folders(Path("/nowhere"))), []
    worker = WorkerFacts.of_this_process("cpu")
    while not isinstance(claim := direct.claim(worker, new_token()), Standing):
        seen.append(direct.parameters(claim))
        direct.complete(claim, 90.0, {"reports": {1: 80.0, 2: 90.0}})
    return seen


def test_a_grid_gives_its_results_to_a_sampler_which_learns_from_them(tmp_path: Path) -> None:
    old = new_study(tmp_path)
    queue = old.queue()
    while (claim := queue.claim("machine:1")) is not None:
        queue.complete(claim, 90.0 + claim.number / 10, reports={1: 80.0, 2: 90.0})
    new = made_of(old, tmp_path, spec_text())
    results = read_results(new)
    assert (results.cells.total, results.cells.complete, results.cells.waiting) == (20, 8, 12)
    there = {attempt.number: attempt for attempt in read_results(old).complete}
    for attempt in results.complete:
        assert attempt.reused is not None
        source = there[attempt.reused["trial"]]
        # The grid trains SGD without momentum, which the new search would draw.
        momentum = {"momentum": 0.0} if source.parameters["optimizer"] == "SGD" else {}
        assert attempt.parameters == source.parameters | momentum
        assert (attempt.value, attempt.started) == (source.value, source.started)
    learnt = LearntFrom(new.storage, new.study_id).get_all_trials()
    assert [trial.value for trial in learnt] == [attempt.value for attempt in results.complete]
    assert broken_promises_of(new, tmp_path) == []
    drawn = work_off(new)
    assert len(drawn) == 12
    results = read_results(opened_again(new))
    assert (results.is_finished, results.cells.complete) == (True, 20)
    assert broken_promises_of(opened_again(new), tmp_path) == []


def test_only_trials_that_the_space_has_and_that_were_trained_alike_are_taken_over(tmp_path: Path) -> None:
    old = new_study(tmp_path)
    queue = old.queue()
    while (claim := queue.claim("machine:1")) is not None:
        queue.complete(claim, 90.0)
    for change, n in (
        (("[64, 128]", "[128, 256]"), 4),
        (("low = 1e-4", "low = 5e-4"), 4),
        (("low = 0.0", "low = 0.1"), 4),
        (("low = 1e-4, high = 1e-2, log = true", "low = 0.0001, high = 0.01, step = 0.0005"), 4),
    ):
        assert len(finished_cells(old, tiny_spec(tmp_path, spec_text(20, "", change)))) == n, change
    for change, why in (
        (("epochs = 2", "epochs = 3"), "training.epochs is 2 there and 3 here"),
        (("train_size = 200", "train_size = 300"), "data.train_size is 200 there and 300 here"),
        (("[64, 128]", "[256, 512]"), "it has searched other values"),
    ):
        with pytest.raises(UserError, match=f"^--reuse tiny: has no finished cell of this study; {why}"):
            finished_cells(old, tiny_spec(tmp_path, spec_text(20, "", change)))


def test_results_count_in_n_trials_and_too_many_are_refused(tmp_path: Path) -> None:
    old = new_study(tmp_path)
    work_off(old)
    point = 'enqueue = [{learning_rate = 0.001, batch_size = 64, optimizer = "Adam"}, {batch_size = 64}]\n'
    with_points = ("n_trials", f"{point}n_trials")
    said = "--reuse tiny: results that are taken over count in n_trials, and there are 8: write n_trials = 8 "
    with pytest.raises(UserError, match=f"^{re.escape(said)}or, to try something new, more$"):
        finished_cells(old, tiny_spec(tmp_path, spec_text(7)))
    assert finished_cells(old, tiny_spec(tmp_path, spec_text(8))).keys() == set(range(8))
    with pytest.raises(UserError, match="taken over and points count in n_trials, and there are 9"):
        finished_cells(old, tiny_spec(tmp_path, spec_text(8, "", with_points)))
    new = made_of(old, tmp_path, spec_text(9, "", with_points))
    # The first point is a result, the second is still to be drawn.
    states = [attempt.state for attempt in read_results(new).attempts]
    assert states == ["complete", "waiting", *["complete"] * 7]
    (drawn,) = work_off(new)
    assert drawn["batch_size"] == 64
    assert broken_promises_of(new, tmp_path) == []


def test_a_sampled_search_goes_on_from_another_one(tmp_path: Path) -> None:
    old_text = spec_text(6).replace('"new"', '"old"')
    old = new_study(tmp_path, old_text)
    queue = DirectStudy(old, folders(tmp_path))
    worker = WorkerFacts.of_this_process("cpu")
    for number in range(4):
        claim = queue.claim(worker, new_token())
        assert not isinstance(claim, Standing)
        queue.parameters(claim)
        if number < 3:
            queue.complete(claim, 90.0 + number, {})
        else:
            queue.prune(claim, 10.0, {"reports": {1: 10.0}})
    wider = spec_text(10, "weight_decay = [0.0, 0.01]\n", ("high = 1e-2", "high = 1e-1"))
    spec = tiny_spec(tmp_path, wider)
    assert create_study_reusing(old.storage, spec, "old") == (True, 3)
    assert create_study_reusing(old.storage, spec, "old") == (False, 0)
    new = open_study(old.storage, "new")
    results = read_results(new)
    assert [attempt.parameters["weight_decay"] for attempt in results.complete] == [0.0] * 3
    assert (results.cells.complete, results.cells.pruned, results.cells.waiting) == (3, 0, 7)
    assert len(work_off(new)) == 7
    assert broken_promises_of(opened_again(new), tmp_path) == []


def test_of_trials_that_train_the_same_the_first_is_taken_over(tmp_path: Path) -> None:
    seeds = TINY_SPEC.replace("[training]", "seed = [0, 1]\n\n[training]")
    old = new_study(tmp_path, seeds)
    queue = old.queue()
    while (claim := queue.claim("machine:1")) is not None:
        queue.complete(claim, 90.0)
    new = made_of(old, tmp_path, spec_text())
    reused = [attempt.reused for attempt in read_results(new).complete]
    assert len(reused) == 8
    seed_of = {attempt.number: attempt.parameters["seed"] for attempt in read_results(old).complete}
    assert {seed_of[each["trial"]] for each in reused if each is not None} == {0}


def test_a_race_over_seeds_counts_what_was_taken_over_as_explored(tmp_path: Path) -> None:
    old = new_study(tmp_path)
    queue = old.queue()
    while (claim := queue.claim("machine:1")) is not None:
        queue.complete(claim, 90.0)
    race = ("[training]", "[replicates]\nstart = 2\nmax = 3\nof_top = 2\n\n[training]")
    new = made_of(old, tmp_path, spec_text(9, "", race))
    assert [attempt.parameters["seed"] for attempt in read_results(new).complete] == [0] * 8
    work_off(new)
    results = read_results(opened_again(new))
    assert results.is_finished
    assert results.race is not None
    assert broken_promises_of(opened_again(new), tmp_path) == []


def test_create_study_says_how_many_it_took_over(tmp_path: Path, command: Command) -> None:
    queue = new_study(tmp_path).queue()
    queue.complete(take(queue), 90.0)
    answer = command("create-study", str(write_spec(tmp_path, spec_text(12))), "--reuse", "tiny")
    assert (answer.code, answer.err) == (0, "")
    assert "created study 'new' with 12 cells, 1 of them taken over from 'tiny', in sqlite:///" in answer.out
    again = command("create-study", str(tmp_path / "spec.toml"), "--reuse", "tiny", "--json").json
    assert (again["created"], again["reused"]) == (False, 0)
