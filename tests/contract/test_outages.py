"""What a worker is told while its study does not answer, and that it may ask again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mnist_tune.contract.study import StorageAway, StudyForWorkers
from mnist_tune.failures import Failure
from mnist_tune.results.reading import read_results
from mnist_tune.study.open_study import OpenStudy
from tests.support.contract_calls import taken
from tests.support.storage_faults import away, lost_answer

CALLS = ("standing", "register", "beat", "put_back_stale", "claim", "renew", "record", "complete", "leave")


@pytest.mark.parametrize("what", CALLS)
def test_a_call_over_an_outage_says_so_and_may_be_repeated(
    study: OpenStudy, far: OpenStudy, worker: StudyForWorkers, what: str
) -> None:
    claim = taken(worker)
    calls: dict[str, Callable[[], object]] = {
        "standing": worker.standing,
        "register": lambda: worker.register("cpu"),
        "beat": lambda: worker.beat(0, None),
        "put_back_stale": worker.put_back_stale,
        "claim": worker.claim,
        "renew": lambda: worker.renew(claim),
        "record": lambda: worker.record(claim, {"user": {"environment": {}}}),
        "complete": lambda: worker.complete(claim, 90.0, {}),
        "leave": lambda: worker.leave("done"),
    }
    if what not in ("standing", "put_back_stale"):  # a locked SQLite file can be read
        with away(far.storage), pytest.raises(StorageAway) as told:
            calls[what]()
        assert "\n" not in str(told.value)
    calls[what]()


def test_a_claim_whose_answer_was_lost_is_the_one_that_is_given(
    study: OpenStudy, far: OpenStudy, worker: StudyForWorkers
) -> None:
    with lost_answer(far.storage), pytest.raises(StorageAway):
        worker.claim()
    assert taken(worker).number == 0
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
