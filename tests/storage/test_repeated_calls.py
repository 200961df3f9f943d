"""Calls to the queue after a commit whose answer was lost: nothing is done twice."""

from __future__ import annotations

import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState
from sqlalchemy.exc import DBAPIError

from mnist_tune.contract.study import new_token
from mnist_tune.failures import Failure
from mnist_tune.study.open_study import OpenStudy
from tests.support.storage_faults import away, lost_answer
from tests.support.stored_epochs import stored_numbers
from tests.support.studies import fail_behind_its_back, states, take

TOKEN = new_token()
BROKEN = Failure("exception", "it broke")


def test_a_claim_whose_answer_was_lost_is_recognised(study: OpenStudy) -> None:
    queue = study.queue()
    with lost_answer(study.storage), pytest.raises(DBAPIError):
        queue.claim("worker", TOKEN)
    claim = queue.claim("worker", TOKEN)
    assert claim is not None
    assert claim.number == 0
    assert claim.parameters == study.optuna_study().trials[0].params
    assert states(study) == [TrialState.RUNNING, *[TrialState.WAITING] * 7]
    queue.beat(claim)
    assert take(queue).number == 1


def test_a_claim_that_never_reached_the_storage_is_made_anew(study: OpenStudy) -> None:
    queue = study.queue()
    with away(study.storage), pytest.raises(DBAPIError):
        queue.claim("worker", TOKEN)
    assert states(study) == [TrialState.WAITING] * 8
    claim = queue.claim("worker", TOKEN)
    assert claim is not None
    assert claim.number == 0


@pytest.mark.parametrize("is_restarted", [False, True], ids=["the same process", "a new head"])
def test_a_claim_that_was_lost_to_others_before_it_was_known_is_not_taken_up(
    study: OpenStudy, is_restarted: bool
) -> None:
    """Nor is another cell claimed with its token: of two trials with one token, who is to believe which?"""
    queue = study.queue()
    with lost_answer(study.storage), pytest.raises(DBAPIError):
        queue.claim("worker", TOKEN)
    fail_behind_its_back(study.storage.url, study.optuna_study().trials[0]._trial_id)
    if is_restarted:
        queue = study.queue()
    assert queue.claim("worker", TOKEN) is None
    assert TrialState.RUNNING not in states(study)
    assert take(queue).number == 1


def test_a_lost_answer_that_said_no_is_no_claim(study: OpenStudy) -> None:
    queue = study.queue()
    while queue.claim("worker"):
        pass
    with lost_answer(study.storage), pytest.raises(DBAPIError):
        queue.claim("worker", TOKEN)
    assert queue.claim("worker", TOKEN) is None


def test_a_record_whose_answer_was_lost_may_be_stored_again(study: OpenStudy) -> None:
    queue = study.queue()
    claim = take(queue)
    with lost_answer(study.storage), pytest.raises(DBAPIError):
        queue.record(claim, reports={1: 50.0}, epochs={1: {"loss": 1.0}})
    queue.record(claim, reports={1: 50.0}, epochs={1: {"loss": 1.0}})
    trial = study.storage.get_trial(claim.trial_id)
    assert trial.intermediate_values == {1: 50.0}
    assert stored_numbers(study.storage, claim.trial_id) == {1: {"loss": 1.0}}


def test_a_completion_whose_answer_was_lost_is_recognised(study: OpenStudy) -> None:
    queue = study.queue()
    claim = take(queue)
    with lost_answer(study.storage), pytest.raises(DBAPIError):
        queue.complete(claim, 50.0)
    queue.complete(claim, 50.0)
    assert study.storage.get_trial(claim.trial_id).value == 50.0
    assert states(study) == [TrialState.COMPLETE, *[TrialState.WAITING] * 7]


def test_a_cell_given_back_whose_answer_was_lost_goes_back_once(study: OpenStudy) -> None:
    queue = study.queue()
    claim = take(queue)
    with lost_answer(study.storage), pytest.raises(DBAPIError):
        queue.give_back(claim, BROKEN)
    assert queue.give_back(claim, BROKEN)
    assert states(study) == [TrialState.FAIL, *[TrialState.WAITING] * 8]


def test_what_ended_in_one_way_is_not_taken_for_another(study: OpenStudy) -> None:
    queue = study.queue()
    completed, given_back, robbed = (take(queue) for _ in range(3))
    queue.complete(completed, 50.0)
    queue.give_back(given_back, BROKEN)
    fail_behind_its_back(study.storage.url, robbed.trial_id)
    assert not queue.give_back(completed, BROKEN)
    assert not queue.give_back(robbed, BROKEN)
    for claim in (given_back, robbed):
        with pytest.raises(UpdateFinishedTrialError):
            queue.complete(claim, 50.0)
