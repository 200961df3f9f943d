"""Complete trials are given more epochs: each cell goes on from its kept state, once, and nothing is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from optuna.samplers import GridSampler
from optuna.trial import TrialState

from mnist_tune.contract.study import new_token
from mnist_tune.errors import UserError
from mnist_tune.failures import EXTENDED, Failure
from mnist_tune.spec.growth import Amount, Growth
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.keys import FAILURE
from mnist_tune.study.copy import copy_study
from mnist_tune.study.extend import extend_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.retry import put_back_holes
from mnist_tune.study.settings import change_settings
from mnist_tune.study.store import open_study
from mnist_tune.terminal.status_page import summary
from mnist_tune.worker.loop import Ended
from mnist_tune.worker.trial import Trial
from tests.support.logged_job import expected
from tests.support.longer_studies import (
    ALL_SIX,
    SIX,
    SPEC,
    broken,
    extend,
    go_through,
    results_of,
    values_of,
)
from tests.support.studies import folders, new_study, opened_again, states, take, work
from tests.support.waiting import wait_until


def test_each_cell_goes_on_from_where_it_ended_as_if_it_had_had_all_epochs(
    ended: OpenStudy, tmp_path: Path
) -> None:
    extension = extend(ended)
    assert extension.revision is not None
    assert (extension.revision.epochs, extension.revision.going_on, extension.spec.n_cells) == (4, 3, 3)
    assert states(ended) == [TrialState.FAIL] * 3 + [TrialState.WAITING] * 3
    assert broken(ended, tmp_path) == []
    assert go_through(ended, tmp_path) is Ended.FINISHED  # by a worker that knew of two epochs only
    results = results_of(ended)
    assert values_of(ended) == ALL_SIX
    assert [len(one.history) for one in results.complete] == [6] * 3
    assert [(one.resumed or {})["epoch"] for one in results.complete] == [2] * 3
    assert states(ended) == [TrialState.FAIL] * 3 + [TrialState.COMPLETE] * 3
    assert broken(ended, tmp_path) == []


def test_what_was_reached_before_stays_with_people_until_the_cells_have_ended_again(
    ended: OpenStudy, tmp_path: Path
) -> None:
    before = {one.number: one for one in results_of(ended).complete}
    extend(ended)
    results = results_of(ended)
    assert (results.is_finished, results.cells.waiting, results.holes) == (False, 3, [])
    for attempt in results.attempts[:3]:
        old = before[attempt.number]
        assert attempt.was_extended
        assert (attempt.history, attempt.artifacts) == (old.history, old.artifacts)
        value = results.job.text(old.final_value)
        assert (attempt.failure or {})["reason"] == (
            f"had validation accuracy {value} after its 2 epochs; goes on to 6"
        )
    best = results.job.text(max(one.final_value for one in before.values()))
    lines = list(summary(results))
    assert f"more epochs: 3 cells that had ended go on to 6; the best of them had {best} before" in lines
    assert not any("failed" in line for line in lines)
    named = list(summary(results, everything=True))
    assert sum("was extended: had validation accuracy" in line for line in named) == 3
    go_through(ended, tmp_path, max_trials=2)
    assert any(
        "more epochs: 1 cell that had ended goes on to 6" in line for line in summary(results_of(ended))
    )


def test_it_is_given_once_however_often_it_is_asked_for(ended: OpenStudy, tmp_path: Path) -> None:
    revision = new_token()
    first, again = extend(ended, revision=revision), extend(ended, revision=revision)
    assert first.revision == again.revision
    assert extend(ended).revision is None
    assert len(states(ended)) == 6
    go_through(ended, tmp_path)
    more = extend(ended, Growth(epochs=Amount(number=1, more=True)))
    assert more.revision is not None
    assert more.revision.going_on == 3
    go_through(ended, tmp_path)
    assert values_of(ended) == {seed: expected(seed, 7) for seed in range(3)}
    assert broken(ended, tmp_path) == []


def test_many_that_ask_at_once_while_workers_wait_extend_each_cell_once(
    ended: OpenStudy, tmp_path: Path
) -> None:
    opened = [opened_again(ended) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(lambda study: extend_study(study, SIX, new_token()), opened))
    assert sum(one.revision is not None for one in done) == 1
    assert len(states(ended)) == 6
    with ThreadPoolExecutor(3) as threads:
        left = list(threads.map(lambda study: go_through(study, tmp_path), opened[:3]))
    assert left == [Ended.FINISHED] * 3
    assert states(ended) == [TrialState.FAIL] * 3 + [TrialState.COMPLETE] * 3
    assert broken(ended, tmp_path) == []


def test_cells_that_wait_get_them_too_also_one_that_was_given_back_within(
    database: str, tmp_path: Path
) -> None:
    study = new_study(tmp_path, SPEC, database)
    go_through(study, tmp_path, max_trials=1)
    queue = study.queue()
    queue.give_back(take(queue), Failure("preempted", "stopped"))
    assert extend(study).spec.training.epochs == 6
    go_through(study, tmp_path)
    assert values_of(study) == ALL_SIX
    assert broken(study, tmp_path) == []


def test_pruned_cells_stay_pruned(database: str, tmp_path: Path) -> None:
    pruner = '[pruner]\nname = "threshold"\nlower = 0.0\n'
    study = new_study(tmp_path, SPEC + pruner, database)
    queue = study.queue()
    queue.prune(take(queue), 40.0, reports={1: 40.0}, epochs={1: {"validation_accuracy": 40.0}})
    go_through(study, tmp_path)
    revision = extend(study).revision
    assert revision is not None
    assert revision.going_on == 2
    go_through(study, tmp_path)
    assert results_of(study).cells.pruned == 1
    assert [len(one.history) for one in results_of(study).complete] == [6, 6]


def test_a_cell_that_then_fails_for_good_keeps_what_it_had_and_can_be_put_back(
    ended: OpenStudy, tmp_path: Path
) -> None:
    extend(ended)
    queue = opened_again(ended).queue()
    claim = take(queue)
    assert claim.checkpoint is not None
    assert claim.failures == {}
    queue.give_back(claim, Failure("non_finite", "the loss is nan"))
    assert len(results_of(ended).holes) == 1
    assert broken(ended, tmp_path) == []
    assert put_back_holes(ended).numbers == [claim.number]
    go_through(ended, tmp_path)
    assert [len(one.history) for one in results_of(ended).complete] == [6] * 3
    assert broken(ended, tmp_path) == []


def test_a_kept_state_that_is_gone_has_its_cell_begin_anew_with_the_same_numbers(
    ended: OpenStudy, tmp_path: Path
) -> None:
    extend(ended)
    for state in (tmp_path / "checkpoints" / ended.uid).iterdir():
        state.unlink()
    go_through(ended, tmp_path)
    assert values_of(ended) == ALL_SIX


def test_a_copy_that_is_made_halfway_goes_on_by_itself(ended: OpenStudy, tmp_path: Path) -> None:
    extend(ended)
    go_through(ended, tmp_path, max_trials=1)
    url = storage_url(f"sqlite:///{tmp_path}/copy.db")
    copy_study(ended, url, "copy", folders(tmp_path), folders(tmp_path / "copy"))
    copy = open_study(type(ended.storage)(url), "copy")
    go_through(copy, tmp_path / "copy")
    assert values_of(copy) == ALL_SIX
    assert broken(copy, tmp_path / "copy") == []


def test_stock_optuna_sees_failed_attempts_and_one_result_for_each_cell(
    ended: OpenStudy, tmp_path: Path
) -> None:
    extend(ended)
    stock = opened_again(ended).optuna_study()
    grid = ended.spec.search.grid
    assert grid is not None
    assert GridSampler(grid).is_exhausted(stock)
    assert list(stock.trials_dataframe()["state"]) == ["FAIL"] * 3 + ["WAITING"] * 3
    assert stock.trials_dataframe()["value_validation_accuracy"].isna().all()
    go_through(ended, tmp_path)
    assert list(stock.trials_dataframe()["state"]) == ["FAIL"] * 3 + ["COMPLETE"] * 3
    assert stock.best_value == max(ALL_SIX.values())


def test_failures_of_extended_attempts_are_no_failures_for_stop(ended: OpenStudy, tmp_path: Path) -> None:
    extend(ended)
    stored = ended.storage.get_all_trials(ended.study_id)
    assert [trial.user_attrs[FAILURE]["class"] for trial in stored[:3]] == [EXTENDED] * 3
    change_settings(opened_again(ended), {"stop.max_failures": 1})
    assert go_through(opened_again(ended), tmp_path) is Ended.FINISHED


def never(_: Trial) -> float:
    raise AssertionError("nothing is left to do")


def test_a_dry_run_says_it_and_changes_nothing(ended: OpenStudy, tmp_path: Path) -> None:
    revision = extend_study(opened_again(ended), SIX, new_token(), dry_run=True).revision
    assert revision is not None
    assert revision.told == "4 more epochs for each trial (3 were complete)"
    assert work(opened_again(ended), never, files=tmp_path) is Ended.FINISHED


@pytest.mark.slow
def test_what_is_given_between_the_claims_of_workers_reaches_every_cell(
    database: str, tmp_path: Path
) -> None:
    study = new_study(tmp_path, SPEC.replace("[0, 1, 2]", str(list(range(12)))), database)
    opened = [opened_again(study) for _ in range(3)]
    with ThreadPoolExecutor(2) as threads:
        workers = [threads.submit(go_through, one, tmp_path) for one in opened[:2]]
        wait_until(lambda: results_of(study).cells.complete > 1)
        given = 0
        while not all(worker.done() for worker in workers):
            with suppress(UserError):  # a trial runs
                extend_study(opened[2], Growth(epochs=Amount(number=1, more=True)), new_token())
                given += 1
            if given == 10:
                break
        assert [worker.result() for worker in workers] == [Ended.FINISHED] * 2
    go_through(opened_again(study), tmp_path)
    assert given
    assert values_of(study) == {seed: expected(seed, 2 + given) for seed in range(12)}
    assert broken(study, tmp_path) == []


def test_a_sampled_search_keeps_its_points_and_draws_the_others(database: str, tmp_path: Path) -> None:
    search = '[search]\nsampler = "tpe"\nn_trials = 4\n[search.space]\nseed = {low = 0, high = 99}\n'
    study = new_study(tmp_path, SPEC.replace("[search.grid]\nseed = [0, 1, 2]\n", search), database)
    go_through(study, tmp_path, max_trials=2)
    before = set(values_of(study))
    extend(study)
    go_through(study, tmp_path)
    values = values_of(study)
    assert values == {seed: expected(seed, 6) for seed in values}
    assert len(values) == 4
    assert before < values.keys()
    assert broken(study, tmp_path) == []
