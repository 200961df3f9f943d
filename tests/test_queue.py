"""The queue of cells: what creating, claiming, failing and finishing leave behind."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from mnist_tune.deletion import delete_study
from mnist_tune.errors import UserError
from mnist_tune.failures import Failure
from mnist_tune.queue import Standing
from mnist_tune.results import read_results
from mnist_tune.studies import create_study, open_study, study_names
from tests.support import TINY_SPEC, new_study, open_file, tiny_spec

QUICK_LEASE = TINY_SPEC + "\n[lease]\nheartbeat_interval = 0.1\ngrace_period = 1.0\n"


def test_creating_the_same_study_again_changes_nothing(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    assert not create_study(study.storage, study.spec)
    assert len(study.optuna_study().trials) == 8
    assert study_names(study.storage) == ["tiny"]


def test_another_spec_under_the_same_name_is_refused_naming_what_differs(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    other = tiny_spec(tmp_path, TINY_SPEC.replace("epochs = 2", "epochs = 3"))
    with pytest.raises(UserError, match=r"training\.epochs is 2 there and 3 here; give this one"):
        create_study(study.storage, other)
    assert open_study(study.storage, "tiny").spec == study.spec


def test_a_study_of_somebody_else_is_neither_taken_over_nor_opened(tmp_path: Path) -> None:
    storage = open_file(tmp_path, create=True)
    optuna.create_study(study_name="tiny", storage=storage)
    with pytest.raises(UserError, match="not made by mnist-tune"):
        create_study(storage, tiny_spec(tmp_path))
    with pytest.raises(UserError, match="not made by mnist-tune"):
        open_study(storage, "tiny")
    assert study_names(storage) == []


def test_every_cell_waits_with_what_stock_optuna_shows_and_needs(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    stock = optuna.load_study(study_name="tiny", storage=f"sqlite:///{tmp_path}/studies.db")
    sampler = optuna.samplers.GridSampler(study.spec.search.grid or {})
    assert [trial.state for trial in stock.trials] == [TrialState.WAITING] * 8
    for trial in stock.trials:
        point = {
            name: sampler.sample_independent(stock, trial, name, distribution)
            for name, distribution in trial.distributions.items()
        }
        assert trial.system_attrs["fixed_params"] == trial.params == point
        assert trial.system_attrs["grid_id"] == trial.number
    assert len({str(trial.params) for trial in stock.trials}) == 8


def test_each_claim_is_another_cell_until_none_waits(tmp_path: Path) -> None:
    queue = new_study(tmp_path).queue()
    claims = [queue.claim("worker") for _ in range(9)]
    assert [claim.number for claim in claims if claim] == list(range(8))
    assert claims[8] is None
    assert queue.standing() is Standing.OPEN


def test_a_claim_carries_its_first_heartbeat(tmp_path: Path) -> None:
    new_study(tmp_path).queue().claim("worker")
    with sqlite3.connect(tmp_path / "studies.db") as connection:
        rows = connection.execute(
            "SELECT t.state, h.heartbeat IS NOT NULL FROM trials t JOIN trial_heartbeats h USING (trial_id)"
        )
        assert rows.fetchall() == [("RUNNING", 1)]


def test_a_trial_that_others_enqueued_is_not_ours_to_run_or_to_count(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    study.optuna_study().enqueue_trial({"learning_rate": 0.5})
    queue = study.queue()
    while claim := queue.claim("worker"):
        queue.complete(claim, 50.0)
    assert queue.standing() is Standing.FINISHED
    assert read_results(study).cells.complete == 8


def test_a_failed_attempt_and_its_retry_are_one_step(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    queue = study.queue()
    claim = queue.claim("worker")
    assert claim is not None
    assert queue.give_back(claim, Failure("exception", "it broke"))
    failed, *_, retry = study.optuna_study().trials
    assert failed.state == TrialState.FAIL
    assert failed.user_attrs["failure"] == {"class": "exception", "reason": "it broke"}
    assert retry.state == TrialState.WAITING
    assert retry.params == failed.params
    assert retry.system_attrs["grid_id"] == failed.system_attrs["grid_id"]
    assert retry.number == 8


def test_giving_back_twice_puts_the_cell_back_once(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    claim = study.queue().claim("worker")
    assert claim is not None
    assert study.queue().give_back(claim, Failure("preempted", "stopped"))
    assert study.queue().give_back(claim, Failure("preempted", "stopped"))  # as after a lost answer
    assert not study.queue().give_back(claim, Failure("exception", "another reason"))
    assert len(study.optuna_study().trials) == 9


def test_a_cell_whose_budget_is_spent_is_a_hole(tmp_path: Path) -> None:
    study = new_study(tmp_path, TINY_SPEC + "\n[retry]\nexception = 1\n")
    queue = study.queue()
    attempts = 0
    while claim := queue.claim("worker"):
        attempts += 1
        queue.give_back(claim, Failure("exception", "it broke"))
    results = read_results(study)
    assert attempts == 16
    assert queue.standing() is Standing.FINISHED
    assert results.cells.failed == 8
    assert [attempt.attempt for attempt in results.holes] == [2] * 8


def test_a_budget_without_limit_is_never_spent(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    queue = study.queue()
    for _ in range(20):
        claim = queue.claim("worker")
        assert claim is not None
        queue.give_back(claim, Failure("preempted", "stopped"))
    assert read_results(study).cells.waiting == 8


def test_budgets_of_different_failures_are_counted_apart(tmp_path: Path) -> None:
    text = TINY_SPEC.replace("[64, 128]", "[64]").replace("[0.001, 0.0001]", "[0.001]").replace(', "SGD"', "")
    study = new_study(tmp_path, text + "\n[retry]\nexception = 1\nlost = 1\n")
    queue = study.queue()
    for kind in ("exception", "lost"):
        claim = queue.claim("worker")
        assert claim is not None
        queue.give_back(claim, Failure(kind, "once"))
    assert read_results(study).cells.waiting == 1


def test_a_cell_whose_worker_fell_silent_is_put_back_by_any_other(tmp_path: Path) -> None:
    study = new_study(tmp_path, QUICK_LEASE)
    silent, watching = study.queue(), open_study(open_file(tmp_path), "tiny").queue()
    claim = silent.claim("silent")
    assert claim is not None
    assert watching.put_back_stale() == []
    time.sleep(1.2)
    assert watching.put_back_stale() == [claim.number]
    assert watching.put_back_stale() == []
    assert read_results(study).attempts[0].failure == {
        "class": "lost",
        "reason": "no heartbeat for 1 s: the worker or its machine died",
    }
    with pytest.raises(UpdateFinishedTrialError):
        silent.beat(claim)


def test_a_beating_worker_keeps_its_cell(tmp_path: Path) -> None:
    study = new_study(tmp_path, QUICK_LEASE.replace("grace_period = 1.0", "grace_period = 2.0"))
    beating, watching = study.queue(), open_study(open_file(tmp_path), "tiny").queue()
    claim = beating.claim("beating")
    assert claim is not None
    for _ in range(30):
        time.sleep(0.1)
        beating.beat(claim)
        assert watching.put_back_stale() == []


def test_an_attempt_that_never_had_a_heartbeat_is_put_back_too(tmp_path: Path) -> None:
    study = new_study(tmp_path, QUICK_LEASE)
    study.queue().claim("worker")
    with sqlite3.connect(tmp_path / "studies.db") as connection:
        connection.execute("DELETE FROM trial_heartbeats")
    watching = study.queue()
    assert watching.put_back_stale() == []
    time.sleep(1.2)
    assert watching.put_back_stale() == [0]


def test_deleting_a_study_leaves_no_row_of_it(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    queue = study.queue()
    claim = queue.claim("worker")
    assert claim is not None
    queue.give_back(claim, Failure("exception", "it broke"))
    delete_study(study)
    with sqlite3.connect(tmp_path / "studies.db") as connection:
        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        left = {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}
    assert {table for table, count in left.items() if count} == {"version_info", "alembic_version"}
