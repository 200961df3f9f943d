"""What a worker is told while its study does not answer, and that it may ask again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mnist_tune.contract.claim import Claim
from mnist_tune.contract.study import StorageAway, StudyForWorkers, new_token
from mnist_tune.failures import Failure
from mnist_tune.results.reading import read_results
from mnist_tune.study.open_study import OpenStudy
from tests.support.contract_calls import ME, taken
from tests.support.storage_faults import away, lost_answer

CALLS = ("standing", "register", "beat", "put_back_stale", "claim", "renew", "record", "complete", "leave")


@pytest.mark.parametrize("what", CALLS)
def test_a_call_over_an_outage_says_so_and_may_be_repeated(
    study: OpenStudy, far: OpenStudy, worker: StudyForWorkers, what: str
) -> None:
    claim, token = taken(worker), new_token()
    calls: dict[str, Callable[[], object]] = {
        "standing": worker.standing,
        "register": lambda: worker.register(ME),
        "beat": lambda: worker.beat(ME, 0, None),
        "put_back_stale": worker.put_back_stale,
        "claim": lambda: worker.claim(ME, token),
        "renew": lambda: worker.renew(claim),
        "record": lambda: worker.record(claim, {"user": {"environment": {}}}),
        "complete": lambda: worker.complete(claim, 90.0, {}),
        "leave": lambda: worker.leave(ME, "done"),
    }
    if what not in ("standing", "put_back_stale"):  # a locked SQLite file can be read
        with away(far.storage), pytest.raises(StorageAway) as told:
            calls[what]()
        assert "\n" not in str(told.value)
    calls[what]()


def test_a_claim_whose_answer_was_lost_is_the_one_that_is_given(
    study: OpenStudy, far: OpenStudy, worker: StudyForWorkers
) -> None:
    token = new_token()
    with lost_answer(far.storage), pytest.raises(StorageAway):
        worker.claim(ME, token)
    claim = worker.claim(ME, token)
    assert isinstance(claim, Claim)
    assert (claim.number, claim.token) == (0, token)
    worker.renew(claim)
    assert [trial.state for trial in read_results(study).attempts] == ["running", "waiting"]


def test_an_end_whose_answer_was_lost_is_known_when_it_is_asked_for_again(
    study: OpenStudy, far: OpenStudy, worker: StudyForWorkers
) -> None:
    claim, other = taken(worker), taken(worker)
    with lost_answer(far.storage), pytest.raises(StorageAway):
        worker.complete(claim, 90.0, {})
    worker.complete(claim, 90.0, {})
    with lost_answer(far.storage), pytest.raises(StorageAway):
        worker.give_back(other, Failure("lost", "it is gone"), {})
    worker.give_back(other, Failure("lost", "it is gone"), {})
    assert [trial.state for trial in read_results(study).attempts] == ["complete", "failed", "waiting"]
