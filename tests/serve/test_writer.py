"""A head's writer: many callers at once, and what is refused or fails among their calls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from mnist_tune.contract.claim import Claim
from mnist_tune.contract.study import LeaseLost, new_token
from mnist_tune.queue.worker_registry import read_registry
from mnist_tune.results.reading import read_results
from mnist_tune.results.trial_result import State
from mnist_tune.serve.writer import Writer
from mnist_tune.study.direct import DirectStudy
from mnist_tune.study.open_study import OpenStudy
from tests.support.contract_calls import ME, taken
from tests.support.stored_epochs import stored_numbers
from tests.support.studies import fail_behind_its_back, folders, new_study, opened_again

MANY = """
[study]
name = "tiny"

[search.grid]
seed = {seeds}
"""
CELLS = 40


class Broken(Exception):  # noqa: N818 - nobody sees it
    """What a test raises."""


class Fixture:
    """A study, a writer on it, and what it has committed."""

    def __init__(self, study: OpenStudy, folder: Path) -> None:
        self.study = study
        self.far = opened_again(study)
        self.direct = DirectStudy(self.far, folders(folder))
        self.writer = Writer(self.far.storage)
        self.commits: list[object] = []
        sqlalchemy.event.listen(self.far.storage.engine, "commit", self.commits.append)

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is asked in the block waits until its end, and so is answered together."""
        begun, over = threading.Event(), threading.Event()

        def wait() -> None:
            begun.set()
            over.wait(60)

        self.writer.ask(wait, alone=True)
        assert begun.wait(60)
        self.commits.clear()
        try:
            yield
        finally:
            over.set()

    def ask(self, call: Callable[[], Any]) -> Future[Any]:
        return self.writer.ask(call, alone=False)

    def record(self, claim: Claim, epoch: int = 1) -> None:
        self.direct.record(claim, {"epochs": {epoch: {"seconds": float(claim.number)}}})

    def stored(self, claim: Claim) -> dict[int, Any]:
        return stored_numbers(self.study.storage, claim.trial_id)


@pytest.fixture
def fixture(database: str, tmp_path: Path) -> Iterator[Fixture]:
    study = new_study(tmp_path, MANY.format(seeds=list(range(CELLS))), database)
    fixture = Fixture(study, tmp_path)
    with fixture.writer:
        yield fixture


def test_many_threads_at_once_each_get_their_own_answer(fixture: Fixture) -> None:
    def life(_: int) -> list[int]:
        numbers = []
        while isinstance(
            claim := fixture.ask(partial(fixture.direct.claim, ME, new_token())).result(60), Claim
        ):
            for epoch in (1, 2):
                fixture.ask(partial(fixture.record, claim, epoch)).result(60)
            fixture.ask(partial(fixture.direct.complete, claim, float(claim.number), {})).result(60)
            numbers.append(claim.number)
        return numbers

    with ThreadPoolExecutor(16) as threads:
        lives = list(threads.map(life, range(16)))
    assert sorted(number for life in lives for number in life) == list(range(CELLS))
    results = read_results(fixture.study)
    assert [attempt.value for attempt in results.complete] == [float(number) for number in range(CELLS)]
    assert all(
        stored_numbers(fixture.study.storage, trial._trial_id)
        == {epoch: {"seconds": float(trial.number)} for epoch in (1, 2)}
        for trial in fixture.study.optuna_study().trials
    )
    # Each call in a transaction of its own would be four for a cell, and more for those who come too late.
    assert len(fixture.commits) < 4 * CELLS


def test_calls_that_wait_together_share_a_commit_and_are_answered_after_it(fixture: Fixture) -> None:
    claims = [taken(fixture.direct) for _ in range(5)]
    seen: list[int] = []
    with fixture.together():
        asked = [fixture.ask(partial(fixture.record, claim)) for claim in claims]
        for each in asked:
            each.add_done_callback(lambda _: seen.append(len(fixture.commits)))
    for each in asked:
        each.result(60)
    assert len(fixture.commits) == 1
    assert set(seen) == {1}
    assert all(fixture.stored(claim) for claim in claims)


def test_workers_that_come_together_are_registered_in_one_commit(fixture: Fixture) -> None:
    crowd = [replace(ME, id=new_token(), name=f"far:{number}") for number in range(8)]
    for later in (crowd[:4], crowd[4:]):  # the first to come has Optuna open the study
        with fixture.together():
            asked = [fixture.ask(partial(fixture.direct.register, each)) for each in later]
        assert [each.result(60) for each in asked] == [fixture.study.spec.lease] * 4
    assert len(fixture.commits) == 1
    registry = read_registry(fixture.study.storage, fixture.study.study_id, 60)
    assert {each.name for each in registry.workers} == {each.name for each in crowd}


def test_a_lost_lease_among_them_is_told_to_its_own_worker_alone(fixture: Fixture) -> None:
    claims = [taken(fixture.direct) for _ in range(5)]
    url = fixture.study.storage.engine.url.render_as_string(hide_password=False)
    fail_behind_its_back(url, claims[2].trial_id)
    with fixture.together():
        asked = [fixture.ask(partial(fixture.record, claim)) for claim in claims]
    outcomes = [each.exception(60) for each in asked]
    assert [type(outcome) for outcome in outcomes if outcome is not None] == [LeaseLost]
    assert isinstance(outcomes[2], LeaseLost)
    assert [bool(fixture.stored(claim)) for claim in claims] == [True, True, False, True, True]
    assert len(fixture.commits) == 1


def test_when_their_commit_fails_each_call_is_made_anew(fixture: Fixture) -> None:
    claims = [taken(fixture.direct) for _ in range(3)]
    made: list[int] = []

    def record(claim: Claim) -> None:
        made.append(claim.number)
        fixture.record(claim)

    def fail(_: object) -> None:
        sqlalchemy.event.remove(fixture.far.storage.engine, "commit", fail)
        raise Broken

    token = new_token()
    with fixture.together():
        asked = [fixture.ask(partial(record, claim)) for claim in claims]
        claimed = fixture.ask(partial(fixture.direct.claim, ME, token))
        sqlalchemy.event.listen(fixture.far.storage.engine, "commit", fail)
    for each in asked:
        each.result(60)
    assert made == [0, 1, 2, 0, 1, 2]
    assert all(fixture.stored(claim) for claim in claims)
    claim = claimed.result(60)
    assert (claim.number, claim.token) == (3, token)
    assert [attempt.state for attempt in read_results(fixture.study).attempts].count(State.RUNNING) == 4


def test_an_error_of_one_of_them_is_told_to_its_own_worker_and_the_others_are_stored(
    fixture: Fixture,
) -> None:
    claims = [taken(fixture.direct) for _ in range(3)]

    def break_off() -> None:
        raise Broken

    with fixture.together():
        asked = [fixture.ask(partial(fixture.record, claim)) for claim in claims]
        broken = fixture.ask(break_off)
        last = fixture.ask(partial(fixture.direct.complete, claims[0], 1.0, {}))
    assert isinstance(broken.exception(60), Broken)
    assert [each.exception(60) for each in (*asked, last)] == [None] * 4
    assert all(fixture.stored(claim) for claim in claims)
    assert read_results(fixture.study).attempts[0].state == "complete"


def test_what_is_asked_before_the_end_is_answered(database: str, tmp_path: Path) -> None:
    fixture = Fixture(new_study(tmp_path, MANY.format(seeds=[0, 1, 2]), database), tmp_path)
    claims = [taken(fixture.direct) for _ in range(3)]
    with fixture.writer:
        asked = [fixture.ask(partial(fixture.record, claim)) for claim in claims]
        alone = fixture.writer.ask(lambda: "alone", alone=True)
    assert all(each.done() for each in (*asked, alone))
    assert alone.result(0) == "alone"
    assert all(fixture.stored(claim) for claim in claims)
