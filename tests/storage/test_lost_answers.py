"""A commit whose answer is lost on the way back has one effect, even if it is repeated."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.exceptions import UpdateFinishedTrialError

from mnist_tune.contract.retrying import StorageRetry
from mnist_tune.contract.study import Control, WorkerFacts, new_token
from mnist_tune.failures import Failure
from mnist_tune.queue.control import read_control, set_control
from mnist_tune.queue.worker_registry import Registration, WorkerRow, ask_to_drain, read_registry
from mnist_tune.results.reading import read_results
from mnist_tune.storage.retrying import why_it_may_pass
from mnist_tune.study.delete import delete_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.retry import put_back_holes
from mnist_tune.study.store import create_study, open_study, study_names
from tests.support.specs import TWO_CELLS, lease_lines
from tests.support.stored_epochs import stored_numbers
from tests.support.studies import new_study, opened_again, take
from tests.support.tcp_proxy import TcpProxy

pytestmark = pytest.mark.postgres


class StudyBehindALink:
    """A study over a good link, to look at it, and through the proxy, to act on it."""

    def __init__(self, study: OpenStudy, proxy: TcpProxy) -> None:
        self.study = study
        self.proxy = proxy
        self.far = opened_again(study, proxy.url)
        self.queue = self.far.queue()
        self.lines: list[str] = []

    def with_answer_lost(self, call: Callable[[], Any], commit: int = 1) -> Any:
        """What a patient caller gets when the answer to a commit is lost, by default to the first."""
        self.proxy.lose_commit(commit)
        answer = StorageRetry(60, self.lines.append, hurry=lambda: False, away=why_it_may_pass)(call)
        assert self.proxy.has_lost_it
        assert len(self.lines) == 2, self.lines  # it was away, and it answers again
        return answer

    def states(self) -> list[str]:
        return [attempt.state for attempt in read_results(self.study).attempts]

    def workers(self) -> list[WorkerRow]:
        return read_registry(self.study.storage, self.study.study_id, 60.0).workers


def a_claim(link: StudyBehindALink) -> None:
    token = new_token()
    claim = link.with_answer_lost(lambda: link.queue.claim("worker", token))
    assert link.states() == ["running", "waiting"]
    link.queue.complete(claim, 42.0)
    assert link.states() == ["complete", "waiting"]


def a_record(link: StudyBehindALink) -> None:
    claim = take(link.queue)
    link.with_answer_lost(
        lambda: link.queue.record(
            claim, reports={1: 41.0, 2: 42.0}, epochs={1: {"loss": 2.0}, 2: {"loss": 1.0}}
        )
    )
    trial = link.study.optuna_study().trials[0]
    assert stored_numbers(link.study.storage, claim.trial_id) == {1: {"loss": 2.0}, 2: {"loss": 1.0}}
    assert trial.intermediate_values == {1: 41.0, 2: 42.0}
    link.queue.beat(claim)


def a_completion(link: StudyBehindALink) -> None:
    claim = take(link.queue)
    link.with_answer_lost(lambda: link.queue.complete(claim, 42.0, reports={1: 42.0}))
    assert link.states() == ["complete", "waiting"]
    assert link.study.optuna_study().trials[0].values == [42.0]
    with pytest.raises(UpdateFinishedTrialError):
        link.queue.beat(claim)


def a_cell_given_back(link: StudyBehindALink) -> None:
    claim = take(link.queue)
    assert link.with_answer_lost(lambda: link.queue.give_back(claim, Failure("exception", "it broke")))
    assert link.states() == ["failed", "waiting", "waiting"]


def a_stale_cell_put_back(link: StudyBehindALink) -> None:
    take(link.study.queue())
    time.sleep(1.2)
    link.with_answer_lost(link.queue.put_back_stale, commit=2)  # the first commit ends the look at heartbeats
    assert link.states() == ["failed", "waiting", "waiting"]


def a_study_made(link: StudyBehindALink) -> None:
    spec = link.study.spec.named("another")
    link.with_answer_lost(lambda: create_study(link.far.storage, spec))
    assert len(read_results(open_study(link.study.storage, "another")).attempts) == 2


def a_study_paused(link: StudyBehindALink) -> None:
    far = link.far
    link.with_answer_lost(lambda: set_control(far.storage, far.study_id, Control.PAUSED))
    assert read_control(link.study.storage, link.study.study_id) is Control.PAUSED
    assert link.queue.claim("worker") is None


def a_worker_registered(link: StudyBehindALink) -> None:
    registration = Registration(link.far.storage, link.far.study_id, WorkerFacts.of_this_process("cpu"))
    link.with_answer_lost(registration.register)
    assert len(link.workers()) == 1


def a_worker_drained(link: StudyBehindALink) -> None:
    Registration(link.study.storage, link.study.study_id, WorkerFacts.of_this_process("cpu")).register()
    (worker,) = link.workers()
    far = link.far
    names = link.with_answer_lost(lambda: ask_to_drain(far.storage, far.study_id, worker=worker.name))
    assert names == [worker.name]
    assert [row.state for row in link.workers()] == ["draining"]


def a_hole_put_back(link: StudyBehindALink) -> None:
    assert link.queue.give_back(take(link.queue), Failure("non_finite", "the loss is nan"))
    assert link.states() == ["failed", "waiting"]
    link.with_answer_lost(lambda: put_back_holes(link.far))
    assert link.states() == ["failed", "waiting", "waiting"]


def a_study_deleted(link: StudyBehindALink) -> None:
    link.with_answer_lost(lambda: delete_study(link.far))
    assert study_names(link.study.storage) == []


@pytest.mark.parametrize(
    "act",
    [
        a_claim,
        a_record,
        a_completion,
        a_cell_given_back,
        a_stale_cell_put_back,
        a_study_made,
        a_study_paused,
        a_worker_registered,
        a_worker_drained,
        a_hole_put_back,
        a_study_deleted,
    ],
    ids=lambda act: act.__name__.replace("_", " "),
)
def test_what_is_committed_though_the_answer_is_lost_has_one_effect(
    postgres: str, proxy: TcpProxy, tmp_path: Path, act: Callable[[StudyBehindALink], None]
) -> None:
    act(StudyBehindALink(new_study(tmp_path, TWO_CELLS + lease_lines(0.3, 1.0), postgres), proxy))
