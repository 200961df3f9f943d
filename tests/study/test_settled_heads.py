"""Studies that settle through a head, which has others to answer meanwhile."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from mnist_tune.contract.claim import Claim, Standing
from mnist_tune.contract.study import new_token
from mnist_tune.search.race import level_of
from mnist_tune.serve.client import Head
from mnist_tune.serve.desk import Desk
from mnist_tune.serve.remote_study import RemoteStudy
from mnist_tune.serve.writer import Writer
from mnist_tune.spec.rounds import Ending
from mnist_tune.study.open_study import OpenStudy
from tests.support.contract_calls import ME, asked
from tests.support.heads import running_head
from tests.support.settling_studies import (
    CLEAR,
    alike_value,
    broken,
    made_value,
    rounds,
    run_through,
    worker_of,
)
from tests.support.studies import folders, new_study, opened_again


@pytest.fixture
def study(database: str, tmp_path: Path) -> OpenStudy:
    return new_study(tmp_path, CLEAR, database)


def test_a_study_settles_through_a_head(study: OpenStudy, tmp_path: Path) -> None:
    with running_head(opened_again(study).storage, tmp_path) as address:
        workers = [RemoteStudy(Head(address), "tiny", tmp_path / f"{one}") for one in range(2)]
        for worker in workers:
            worker.register(ME)
        while {run_through(worker, made_value, most=2) for worker in workers} != {Standing.FINISHED}:
            pass
    assert rounds(study)[-1].ending is Ending.BEST
    assert broken(study, tmp_path) == []


def test_a_head_adds_the_round_that_nobody_asks_for(study: OpenStudy, tmp_path: Path) -> None:
    with (
        patch("mnist_tune.serve.watch.LOOK_SECONDS", 0.1),
        patch("mnist_tune.queue.heartbeat_monitor.LOOKS_PER_GRACE_PERIOD", 600),  # ten in a second
        running_head(opened_again(study).storage, tmp_path) as address,
    ):
        worker = RemoteStudy(Head(address), "tiny", tmp_path / "one")
        worker.register(ME)
        run_through(worker, alike_value, most=6)
        for _ in range(600):
            if rounds(study):
                break
            time.sleep(0.05)
    assert len(rounds(study)) == 1


def test_a_head_answers_while_it_computes_the_levels_of_a_race(study: OpenStudy, tmp_path: Path) -> None:
    computed = threading.Event()

    def slow(*arguments: Any) -> float:
        assert computed.wait(60)
        return level_of(*arguments)

    with (
        patch("mnist_tune.study.settle.level_of", slow),
        running_head(opened_again(study).storage, tmp_path) as address,
    ):
        worker = RemoteStudy(Head(address), "tiny", tmp_path / "one")
        worker.register(ME)
        run_through(worker, alike_value, most=6)
        assert asked(worker) is Standing.OPEN
        assert worker.standing() is Standing.OPEN
        assert rounds(study) == []
        computed.set()
        for _ in range(600):
            if isinstance(asked(worker), Claim):
                break
            time.sleep(0.05)
    assert len(rounds(study)) == 1


def test_claims_that_come_together_when_a_round_is_due_get_its_cells(
    study: OpenStudy, tmp_path: Path
) -> None:
    run_through(worker_of(study, tmp_path), alike_value, most=6)
    storage = opened_again(study).storage
    with Writer(storage) as writer:
        desk = Desk(storage, folders(tmp_path), writer)
        assert desk.open("tiny").result(60).uid == study.uid

        def asked_together(count: int) -> list[Claim | Standing]:
            begin = threading.Event()
            writer.ask(lambda: begin.wait(60), alone=False)
            asked = [
                desk.answer("tiny", study.uid, "claim", {"worker": ME, "token": new_token()})
                for _ in range(count)
            ]
            begin.set()
            return [each.result(60) for each in asked]

        for _ in range(600):
            answers = asked_together(5)
            if not all(answer is Standing.OPEN for answer in answers):
                break
            time.sleep(0.05)
        assert sum(isinstance(answer, Claim) for answer in answers) == 3
        assert answers.count(Standing.OPEN) == 2
    assert len(rounds(study)) == 1
    assert broken(study, tmp_path) == []
