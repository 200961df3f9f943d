"""A study that is paused or cancelled gives out no cell."""

from __future__ import annotations

import pytest
from optuna.trial import TrialState

from mnist_tune.contract.claim import Standing
from mnist_tune.contract.study import Control
from mnist_tune.failures import Failure
from mnist_tune.queue.control import read_control, set_control
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import create_study, open_study
from tests.support.studies import opened_again, states, take

HELD_UP = [(Control.PAUSED, Standing.PAUSED), (Control.CANCELLED, Standing.CANCELLED)]


@pytest.mark.parametrize(("control", "standing"), HELD_UP)
def test_a_study_that_is_held_up_gives_out_no_cell_until_it_is_resumed(
    study: OpenStudy, control: Control, standing: Standing
) -> None:
    queue = study.queue()
    assert read_control(study.storage, study.study_id) is Control.RUNNING
    set_control(opened_again(study).storage, study.study_id, control)
    assert read_control(study.storage, study.study_id) is control
    assert queue.claim("worker") is None
    assert queue.standing() is standing
    assert states(study) == [TrialState.WAITING] * 8
    set_control(study.storage, study.study_id, Control.RUNNING)
    assert queue.standing() is Standing.OPEN
    assert take(queue).number == 0


@pytest.mark.parametrize(("control", "standing"), HELD_UP)
def test_what_runs_in_a_study_that_is_held_up_may_end(
    study: OpenStudy, control: Control, standing: Standing
) -> None:
    queue = study.queue()
    complete, given_back = take(queue), take(queue)
    set_control(study.storage, study.study_id, control)
    queue.record(complete, reports={1: 50.0})
    queue.complete(complete, 50.0)
    assert queue.give_back(given_back, Failure("preempted", "the study was cancelled"))
    assert states(study) == [TrialState.COMPLETE, TrialState.FAIL, *[TrialState.WAITING] * 7]
    assert queue.claim("worker") is None
    assert queue.standing() is standing


@pytest.mark.parametrize("control", [Control.PAUSED, Control.CANCELLED])
def test_a_finished_study_is_finished_even_if_it_is_held_up(study: OpenStudy, control: Control) -> None:
    queue = study.queue()
    while claim := queue.claim("worker"):
        queue.complete(claim, 50.0)
    set_control(study.storage, study.study_id, control)
    assert queue.standing() is Standing.FINISHED


def test_holding_up_a_study_does_not_hold_up_another(study: OpenStudy) -> None:
    create_study(study.storage, study.spec.named("other"))
    set_control(study.storage, study.study_id, Control.PAUSED)
    assert take(open_study(study.storage, "other").queue()).number == 0
