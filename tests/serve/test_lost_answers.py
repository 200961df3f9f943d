"""A call to a head whose answer is lost, or that is made again while the first is at work, has one effect."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mnist_tune.contract.claim import Claim, Standing
from mnist_tune.contract.study import LeaseLost, StorageAway, new_token
from mnist_tune.failures import Failure
from mnist_tune.files.checkpoints import load
from mnist_tune.results.reading import read_results
from mnist_tune.serve.remote_study import RemoteStudy
from mnist_tune.storage.notes import Notes
from mnist_tune.study.open_study import OpenStudy
from tests.support.contract_calls import ME, asked, taken
from tests.support.heads import running_head
from tests.support.specs import SAMPLED_SPEC, TWO_CELLS
from tests.support.stored_epochs import stored_numbers
from tests.support.studies import new_study, opened_again
from tests.support.study_behind_a_head import SHORT, StudyBehindAHead
from tests.support.tcp_proxy import tcp_proxy

NUMBERS = {"training_loss": 1.0, "validation_loss": 1.0, "validation_accuracy": 50.0, "seconds": 1.0}


@pytest.fixture
def study(tmp_path: Path, request: pytest.FixtureRequest) -> OpenStudy:
    return new_study(tmp_path, getattr(request, "param", TWO_CELLS))


@pytest.fixture
def behind(study: OpenStudy, tmp_path: Path) -> Iterator[StudyBehindAHead]:
    with running_head(opened_again(study).storage, tmp_path) as address, tcp_proxy(address.url) as link:
        yield StudyBehindAHead(study, link, tmp_path)


def a_claim(behind: StudyBehindAHead) -> None:
    token = new_token()
    claim = behind.again("/calls/claim", lambda: behind.worker.claim(ME, token))
    assert (claim.number, claim.token) == (0, token)
    assert behind.states() == ["running", "waiting"]
    behind.worker.renew(claim)


def a_record(behind: StudyBehindAHead) -> None:
    claim = taken(behind.worker)
    notes: Notes = {"epochs": {1: NUMBERS}, "reports": {1: 50.0}}
    behind.again("/calls/record", lambda: behind.worker.record(claim, notes))
    assert stored_numbers(behind.study.storage, claim.trial_id) == {1: NUMBERS}
    behind.worker.renew(claim)


def a_completion(behind: StudyBehindAHead) -> None:
    claim = taken(behind.worker)
    behind.again("/calls/complete", lambda: behind.worker.complete(claim, 42.0, {"reports": {1: 42.0}}))
    assert behind.states() == ["complete", "waiting"]
    assert [trial.value for trial in read_results(behind.study).complete] == [42.0]
    with pytest.raises(LeaseLost):
        behind.worker.renew(claim)


def a_pruning(behind: StudyBehindAHead) -> None:
    claim = taken(behind.worker)
    behind.again("/calls/prune", lambda: behind.worker.prune(claim, 40.0, {"reports": {1: 40.0}}))
    assert behind.states() == ["pruned", "waiting"]


def a_cell_given_back(behind: StudyBehindAHead) -> None:
    claim, failure = taken(behind.worker), Failure("exception", "it broke")
    behind.again("/calls/give_back", lambda: behind.worker.give_back(claim, failure, {}))
    assert behind.states() == ["failed", "waiting", "waiting"]


def a_registration(behind: StudyBehindAHead) -> None:
    before = behind.row().started
    behind.again("/calls/register", lambda: behind.worker.register(ME))
    assert behind.row().started == before


def a_beat(behind: StudyBehindAHead) -> None:
    orders = behind.again("/calls/beat", lambda: behind.worker.beat(ME, 1, 2.5))
    assert not orders.drain
    assert (behind.row().trial, behind.row().units_per_second) == (1, 2.5)


def a_renewal(behind: StudyBehindAHead) -> None:
    claim = taken(behind.worker)
    behind.again("/calls/renew", lambda: behind.worker.renew(claim))
    assert behind.states() == ["running", "waiting"]


def a_departure(behind: StudyBehindAHead) -> None:
    behind.again("/calls/leave", lambda: behind.worker.leave(ME, "done"))
    assert behind.row().departure == "done"


def parameters_that_are_drawn(behind: StudyBehindAHead) -> None:
    claim = taken(behind.worker)
    drawn = behind.again("/calls/parameters", lambda: behind.worker.parameters(claim))
    assert read_results(behind.study).attempts[0].parameters == drawn


def a_state_that_is_kept(behind: StudyBehindAHead) -> None:
    claim = taken(behind.worker)
    checkpoint = behind.saved(claim)
    behind.again("PUT /api/v1/states", lambda: behind.worker.keep_state(claim, checkpoint))
    assert load(behind.kept, checkpoint) == b"state"
    assert behind.kept.keys() == [checkpoint.key]


def a_file_that_is_kept(behind: StudyBehindAHead) -> None:
    claim, files = taken(behind.worker), {"model.bin": b"weights"}
    kept = behind.again("PUT /api/v1/files", lambda: behind.worker.keep_files(claim, files))
    behind.worker.complete(claim, 1.0, {"system": kept})
    (artifact,) = read_results(behind.study).attempts[0].artifacts.items()
    assert artifact[0] == "model.bin"


def a_state_that_is_deleted(behind: StudyBehindAHead) -> None:
    claim = taken(behind.worker)
    checkpoint = behind.saved(claim)
    behind.worker.keep_state(claim, checkpoint)
    behind.again("/calls/delete_state", lambda: behind.worker.delete_state(checkpoint))
    assert behind.kept.keys() == []


def a_sweep(behind: StudyBehindAHead) -> None:
    claim = taken(behind.worker)
    checkpoint = behind.saved(claim)
    behind.worker.keep_state(claim, checkpoint)
    behind.worker.complete(claim, 1.0, {})
    behind.again("/calls/sweep", lambda: behind.worker.sweep(is_over=False))
    assert behind.kept.keys() == []


ACTS = [a_claim, a_record, a_completion, a_pruning, a_cell_given_back, a_registration, a_beat, a_renewal]
MORE = [a_departure, a_state_that_is_kept, a_file_that_is_kept]
WITHOUT_THE_DATABASE = [a_sweep, a_state_that_is_deleted]
"""Calls that write no row, so that a database that is locked does not hold them up."""


def name_of(act: Callable[..., None]) -> str:
    return act.__name__.replace("_", " ")


@pytest.mark.parametrize("act", [*ACTS, *MORE, *WITHOUT_THE_DATABASE], ids=name_of)
def test_what_is_done_though_its_answer_is_lost_has_one_effect(
    behind: StudyBehindAHead, act: Callable[[StudyBehindAHead], None]
) -> None:
    act(behind)


@pytest.mark.slow
@pytest.mark.parametrize("act", [*ACTS, *MORE], ids=name_of)
def test_what_is_asked_again_while_the_first_is_at_work_has_one_effect(
    behind: StudyBehindAHead, act: Callable[[StudyBehindAHead], None]
) -> None:
    behind.again = behind.while_at_work
    act(behind)


@pytest.mark.slow
@pytest.mark.parametrize("study", [SAMPLED_SPEC.format(n_trials=2)], indirect=True, ids=["sampled"])
@pytest.mark.parametrize("at_work", [False, True], ids=["lost", "at work"])
def test_parameters_are_drawn_once(behind: StudyBehindAHead, at_work: bool) -> None:
    behind.again = behind.while_at_work if at_work else behind.again
    parameters_that_are_drawn(behind)


def test_a_study_is_opened_again_after_a_lost_answer(behind: StudyBehindAHead, tmp_path: Path) -> None:
    behind.link.lose_answer(b"/api/v1/open")
    with pytest.raises(StorageAway):
        RemoteStudy(behind.head, "tiny", tmp_path)
    assert RemoteStudy(behind.head, "tiny", tmp_path).name == "tiny"


def test_requests_that_are_held_back_and_come_all_at_once_claim_each_cell_once(
    behind: StudyBehindAHead,
) -> None:
    tokens = [new_token() for _ in range(3)]
    answers: list[Claim | Standing] = []
    behind.link.cut(reset=False)
    behind.head.wait_at_most(SHORT)
    for token in tokens:
        with pytest.raises(StorageAway):
            behind.worker.claim(ME, token)
    behind.head.wait_at_most(60)

    def ask(token: str) -> None:
        answers.append(behind.worker.claim(ME, token))

    asking = [threading.Thread(target=ask, args=[token]) for token in tokens]
    for thread in asking:
        thread.start()
    behind.link.heal()
    for thread in asking:
        thread.join(60)
    numbers = sorted(answer.number for answer in answers if isinstance(answer, Claim))
    assert numbers == [0, 1]
    assert [answer for answer in answers if not isinstance(answer, Claim)] == [Standing.OPEN]
    assert asked(behind.worker) is Standing.OPEN
