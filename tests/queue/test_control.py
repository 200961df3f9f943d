"""Pause, resume, cancel, drain, retry and the registry, with workers in threads of this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from mnist_tune.contract.study import Control, WorkerFacts, worker_name
from mnist_tune.failures import AttemptFailed, Failure
from mnist_tune.queue.control import set_control
from mnist_tune.queue.worker_registry import Registration
from mnist_tune.results.reading import read_results
from mnist_tune.results.study_results import Results
from mnist_tune.storage.tables import workers
from mnist_tune.study.store import open_study
from mnist_tune.worker.loop import Ended
from mnist_tune.worker.signals import StopRequest
from mnist_tune.worker.trial import Trial
from tests.support.commands import Command
from tests.support.made_studies.epochs import made_epoch
from tests.support.specs import TINY_SPEC
from tests.support.studies import new_study, open_file, work

QUICK_SPEC = TINY_SPEC + "\n[lease]\nheartbeat_interval = 0.1\ngrace_period = 30.0\n"


@dataclass
class Background:
    """A worker in a thread, whose trials last until they are let go or asked to drain."""

    folder: Path
    go_on: threading.Event = field(default_factory=threading.Event)
    ended: list[Ended] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._work)
        self.thread.start()

    def _work(self) -> None:
        study = open_study(open_file(self.folder), "tiny")
        # What it says would come between what a command prints.
        self.ended.append(work(study, self._run_trial, StopRequest(), lambda _: None))

    def _run_trial(self, trial: Trial) -> float:
        trial.epoch_done(made_epoch(1, 41.0))
        while not self.go_on.wait(0.02):
            trial.check()
            if trial.is_to_drain:
                raise AttemptFailed(Failure("preempted", trial.stop_reason))
        return 42.0

    def results(self) -> Results:
        return read_results(open_study(open_file(self.folder), "tiny"))

    def wait_for(self, condition: Callable[[Results], bool]) -> Results:
        deadline = time.monotonic() + 60
        while not condition(results := self.results()):
            assert time.monotonic() < deadline, "not within a minute"
            time.sleep(0.05)
        return results


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Background]:
    """A worker in the middle of its first trial."""
    new_study(tmp_path, QUICK_SPEC)
    background = Background(tmp_path)
    background.wait_for(lambda results: bool(results.attempts[0].history))
    yield background
    background.go_on.set()
    study = open_study(open_file(tmp_path), "tiny")
    set_control(study.storage, study.study_id, Control.RUNNING)
    background.thread.join(timeout=60)


def test_a_paused_study_lets_its_trials_end_and_begins_none(worker: Background, command: Command) -> None:
    assert command("pause", "tiny").out == "study 'tiny' is paused; mnist-tune resume tiny goes on\n"
    worker.go_on.set()
    results = worker.wait_for(lambda results: results.cells.complete == 1)
    time.sleep(0.3)
    assert worker.thread.is_alive()  # it waits
    assert worker.results().cells == results.cells
    assert (results.cells.running, results.cells.waiting) == (0, 7)
    assert "7 waiting, paused" in command("status", "tiny").out
    assert command("status", "tiny", "--json").json["control"] == "paused"
    assert command("resume", "tiny", "--json").json == {"study": "tiny", "control": "running"}
    assert command("resume", "tiny").out == "study 'tiny' goes on: workers may take its cells\n"
    worker.wait_for(lambda results: results.cells.complete == 8)
    worker.thread.join(timeout=60)
    assert worker.ended == [Ended.FINISHED]


def test_a_cancelled_study_gets_its_cells_back_and_its_workers_leave(
    worker: Background, command: Command
) -> None:
    assert command("cancel", "tiny").code == 0
    worker.thread.join(timeout=60)
    results = worker.results()
    assert worker.ended == [Ended.STOPPED]
    assert results.cells.waiting == 8
    assert results.attempts[0].failure == {"class": "preempted", "reason": "the study was cancelled"}
    newcomer = Background(worker.folder)
    newcomer.thread.join(timeout=60)
    assert newcomer.ended == [Ended.CANCELLED]
    assert worker.results().cells.waiting == 8


@pytest.mark.parametrize("which", ["worker", "host"])
def test_a_drained_worker_gives_its_cell_back_and_leaves(
    worker: Background, command: Command, which: str
) -> None:
    name = worker_name()
    answer = command("drain", "tiny", f"--{which}", name if which == "worker" else name.split(":")[0])
    assert (answer.out, answer.code) == (f"asked to leave after their epoch: {name}\n", 0)
    worker.thread.join(timeout=60)
    assert worker.ended == [Ended.STOPPED]
    results = worker.results()
    assert results.cells.waiting == 8
    assert results.attempts[0].failure is not None
    assert "drained" in results.attempts[0].failure["reason"]
    (row,) = results.workers
    assert (row.state, row.trial) == ("left", None)


def test_draining_a_worker_that_is_not_there_names_those_that_are(
    worker: Background, command: Command
) -> None:
    answer = command("drain", "tiny", "--host", "elsewhere")
    assert answer.code == 2
    assert answer.err == (
        f"mnist-tune: no worker on host 'elsewhere' is on this study; there are: {worker_name()}\n"
    )


def test_drain_wants_a_worker_or_a_host(tmp_path: Path, command: Command) -> None:
    new_study(tmp_path)
    for arguments in ([], ["--worker", "a:1", "--host", "a"]):
        answer = command("drain", "tiny", *arguments)
        assert (answer.code, answer.err) == (
            2,
            "mnist-tune: drain: name one of --worker ID and --host HOST\n",
        )


def test_status_shows_every_worker_with_what_it_does(worker: Background, command: Command) -> None:
    worker.wait_for(lambda results: results.workers[0].trial == 0)
    (row,) = command("status", "tiny", "--json").json["workers"]
    assert (row["name"], row["state"], row["trial"], row["device"]) == (worker_name(), "working", 0, "cpu")
    assert row["images_per_second"] == 1_234.5
    assert 0 <= row["seconds_since_beat"] < 3600
    shown = command("status", "tiny", "--workers").out
    assert worker_name() in shown
    assert "1,234" in shown


def test_a_worker_that_is_gone_without_a_word_is_shown_as_silent(tmp_path: Path, command: Command) -> None:
    study = new_study(tmp_path)
    Registration(study.storage, study.study_id, WorkerFacts.of_this_process("cpu")).register()
    assert read_results(study).workers[0].state == "idle"
    with study.storage.transaction() as session:
        last_beat = session.execute(select(workers.c.last_beat)).scalar_one()
        before = last_beat - timedelta(seconds=study.spec.lease.grace_period + 1)
        session.execute(workers.update().values(last_beat=before))
    assert read_results(study).workers[0].state == "silent"


def test_retry_puts_cells_that_failed_for_good_back_with_a_fresh_budget(
    tmp_path: Path, command: Command
) -> None:
    study = new_study(tmp_path)
    queue = study.queue()
    for _ in range(2):
        claim = queue.claim("worker")
        assert claim is not None
        queue.give_back(claim, Failure("non_finite", "nan"))
    assert [hole.number for hole in read_results(study).holes] == [0, 1]
    assert command("retry", "tiny", "--trial", "1").out.startswith("put back the cell of trial 1\n")
    assert [hole.number for hole in read_results(study).holes] == [0]
    assert command("retry", "tiny", "--failed", "--json").json == {
        "study": "tiny",
        "retried": [0],
        "left": [],
        "made_anew": [],
    }
    assert command("retry", "tiny").out == "no cell of 'tiny' has failed for good\n"
    results = read_results(study)
    assert (results.cells.waiting, len(results.attempts)) == (8, 10)
    while claim := queue.claim("worker"):
        assert claim.failures == {}
        queue.complete(claim, 50.0)
    assert read_results(study).cells.complete == 8


def test_only_a_cell_that_failed_for_good_can_be_retried(tmp_path: Path, command: Command) -> None:
    new_study(tmp_path)
    answer = command("retry", "tiny", "--trial", "3")
    assert (answer.code, answer.err) == (
        2,
        "mnist-tune: trial 3 is not the last attempt at a cell that failed for good; there is none\n",
    )
