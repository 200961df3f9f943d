"""[stop] in a spec: when no further cell is claimed, and how a study goes on after it."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy

from mnist_tune.contract.claim import Claim, Standing
from mnist_tune.contract.study import Control
from mnist_tune.errors import UserError
from mnist_tune.queue.control import read_control, set_control
from mnist_tune.results.reading import read_results
from mnist_tune.storage.keys import ACCOUNT
from mnist_tune.storage.optuna_internals import study_attributes
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.settings import change_settings, parse_changes
from mnist_tune.verification import verify
from tests.support.command_jobs import DECAY_SPEC
from tests.support.stopping_studies import asked, end, fail, made
from tests.support.studies import new_study, opened_again, states, take


def reason(study: OpenStudy) -> str:
    """Why the study is stopped; empty if it is not. Whatever it is, no promise is broken."""
    folder = Path(study.storage.engine.url.database or "").parent
    assert verify(study.storage, study.name, folder, folder).broken == []
    return read_results(study).why_stopped


def set_(study: OpenStudy, *changes: str) -> None:
    change_settings(opened_again(study), parse_changes(changes))


def backdate(study: OpenStudy, seconds: int) -> None:
    """Let all that has happened be so much longer ago."""
    with study.storage.transaction() as session:
        for column in ("datetime_start", "datetime_complete"):
            text = f"UPDATE trials SET {column} = strftime('%Y-%m-%d %H:%M:%f000', {column}, '-{seconds} s')"
            session.execute(sqlalchemy.text(text.replace(" s')", " seconds')")))
        session.execute(study_attributes.delete().where(study_attributes.c.key == ACCOUNT))


def test_a_target_that_is_reached_stops_the_study_and_what_runs_goes_on(
    tmp_path: Path, database: str
) -> None:
    study = made(tmp_path, "target = 90.0", database)
    end(study, 89.9)
    queue = study.queue()
    running = take(queue)
    end(study, 90.0)
    assert asked(study) is Standing.STOPPED
    assert read_control(study.storage, study.study_id) is Control.STOPPED
    queue.complete(running, 95.0)
    results = read_results(study)
    assert (results.cells.complete, results.cells.waiting, results.is_over) == (3, 5, True)
    assert results.why_stopped == "trial 2 has 90.00 %, and the target is 90.00 %"
    assert queue.claim("worker") is None
    assert verify(study.storage, study.name, tmp_path, tmp_path).broken == []


def test_a_study_that_goes_on_is_stopped_again_only_by_a_better_result(tmp_path: Path) -> None:
    study = made(tmp_path, "target = 90.0")
    end(study, 91.0)
    assert asked(study) is Standing.STOPPED
    set_control(study.storage, study.study_id, Control.RUNNING)
    end(study, 91.0)
    end(study, 90.5)
    assert reason(study) == ""
    end(study, 91.1)
    assert asked(study) is Standing.STOPPED
    assert reason(study) == "trial 3 has 91.10 %, and the target is 90.00 %"


def test_trials_in_a_row_without_a_better_result_stop_a_study(tmp_path: Path, database: str) -> None:
    study = made(tmp_path, "no_improvement = 2", database)
    for value in (50.0, 40.0, 60.0, 60.0):
        end(study, value)
    fail(study)  # has no result, and is no end of a trial
    queue = study.queue()
    queue.prune(take(queue), 70.0)  # is in no ranking
    assert asked(study) is Standing.STOPPED
    assert read_results(study).why_stopped == (
        "2 trials in a row ended without a better result than trial 2 with 60.00 %"
    )
    set_control(study.storage, study.study_id, Control.RUNNING)
    end(study, 1.0)
    end(study, 1.0)
    assert read_results(study).is_finished


def test_failed_attempts_stop_a_study_but_not_those_that_somebody_stopped(
    tmp_path: Path, database: str
) -> None:
    study = made(tmp_path, "max_failures = 2", database)
    fail(study)
    fail(study, "preempted")
    fail(study, "preempted")
    end(study, 50.0)
    fail(study)
    assert asked(study) is Standing.STOPPED
    results = read_results(study)
    assert (results.why_stopped, results.stopped_badly) == ("2 attempts failed", True)
    assert study.queue().stopped() == results.stopped
    set_control(study.storage, study.study_id, Control.RUNNING)
    fail(study)
    assert isinstance(asked(study), Claim)


def test_the_time_since_the_first_claim_stops_a_study_and_counts_anew_when_it_is_resumed(
    tmp_path: Path,
) -> None:
    study = made(tmp_path, "wall_clock = 3600")
    end(study, 50.0)
    end(study, 50.0)
    backdate(study, 3590)
    end(study, 50.0)
    backdate(study, 20)
    assert asked(study) is Standing.STOPPED
    assert reason(study) == "its time of 1 h 0 min is over"
    set_control(study.storage, study.study_id, Control.RUNNING)
    assert isinstance(asked(study), Claim)


def test_time_begins_with_the_first_claim_and_not_with_the_study(tmp_path: Path) -> None:
    study = made(tmp_path, "wall_clock = 0.001")
    end(study, 50.0)
    assert asked(study) is Standing.STOPPED
    assert states(study)[1:] == states(study)[1:2] * 7


def test_a_smaller_value_reaches_the_target_of_an_objective_that_is_minimised(tmp_path: Path) -> None:
    study = new_study(
        tmp_path, DECAY_SPEC.replace("[0.1, 0.5]", "[0.1, 0.2, 0.5]") + "\n[stop]\ntarget = 0.5\n"
    )
    end(study, 0.6)
    end(study, 0.4)
    assert asked(study) is Standing.STOPPED


def test_what_stops_a_study_can_be_set_while_it_runs_and_all_that_happened_counts(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    for value in (50.0, 40.0, 40.0):
        end(study, value)
    queue = study.queue()
    held = take(queue)
    set_(study, "stop.no_improvement=3")
    queue.complete(held, 30.0)
    assert asked(study) is Standing.STOPPED
    set_(study, "stop.no_improvement=none")
    assert asked(study) is Standing.STOPPED  # until it is resumed
    set_control(study.storage, study.study_id, Control.RUNNING)
    assert isinstance(asked(study), Claim)
    set_(study, "stop.no_improvement=1")
    assert isinstance(asked(study), Claim)  # since it was resumed nothing has ended


def test_a_target_that_no_trial_can_reach_gets_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"stop\.target: is 101, which no validation accuracy can have"):
        made(tmp_path, "target = 101")


def test_a_finished_study_is_finished_whatever_would_stop_it(tmp_path: Path) -> None:
    study = made(tmp_path, "no_improvement = 8")
    for _ in range(8):
        end(study, 50.0)
    assert asked(study) is Standing.FINISHED


def test_nobody_can_ask_for_what_only_a_condition_does(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    with pytest.raises(UserError, match=r"by its \[stop\] only"):
        set_control(study.storage, study.study_id, Control.STOPPED)


def test_a_claim_in_a_group_of_calls_stops_the_study_and_undoes_nothing_else(
    tmp_path: Path, database: str
) -> None:
    study = made(tmp_path, "target = 90.0", database)
    queue = study.queue()
    first, second = take(queue), take(queue)
    with study.storage.group():  # as a head does, whose workers ask at once
        queue.complete(first, 95.0)
        assert queue.claim("worker") is None
        assert queue.standing() is Standing.STOPPED
        queue.complete(second, 85.0)
        assert queue.claim("worker") is None
    assert asked(study) is Standing.STOPPED
    assert reason(study) == "trial 0 has 95.00 %, and the target is 90.00 %"
    assert [state.name for state in states(study)].count("COMPLETE") == 2
