"""Workers whose head is away: for a while, while they are asked to leave, or for longer than they wait."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from mnist_tune.results.reading import read_results
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import State
from mnist_tune.spec.reading import load_spec
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.study.store import create_study, open_study
from mnist_tune.verification import verify
from tests.support.commands import finish, start_command
from tests.support.evident_jobs import EPOCH_SECONDS, EPOCHS, NAME, evident_job, runs_in
from tests.support.head_processes import HeadProcess
from tests.support.waiting import wait_until
from tests.system.ways_to_a_study import ON_THEIR_WAY

pytestmark = pytest.mark.slow

PATIENCE = 4.0


class Place:
    """A study of one cell in a file, and a head over it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder}/studies.db"
        spec = evident_job(folder, "function", cells=1, heartbeat=0.3, grace=3.0)
        lease = "grace_period = 3.0"
        text = spec.read_text("utf-8").replace(lease, f"{lease}\nstorage_timeout = {PATIENCE}")
        spec.write_text(text, encoding="utf-8")
        create_study(open_storage(storage_url(self.url), create=True), load_spec(spec))
        self.head = HeadProcess(self.url, folder)

    def worker(self, seconds: float = 0.5, name: str = NAME) -> subprocess.Popen[str]:
        job = ("--job", f"{self.folder / NAME}.py:train", "--threads", "1")
        states = ("--checkpoints", str(self.folder / ON_THEIR_WAY))
        environment: Mapping[str, str] = {EPOCH_SECONDS: str(seconds)}
        return start_command(
            *("worker", *([name] if name else []), *job, *states),
            folder=self.folder,
            url=self.head.address,
            environment=environment,
        )

    def results(self) -> Results:
        return read_results(open_study(open_storage(storage_url(self.url)), NAME))

    def wait_for_epochs(self, number: int) -> None:
        wait_until(lambda: len(self.results().attempts[0].history) >= number)

    def epochs_begun(self) -> list[int]:
        return [begun.epoch for run in runs_in(self.folder).get(0, []) for begun in run]

    def findings(self) -> list[str]:
        storage = open_storage(storage_url(self.url))
        checked = verify(storage, NAME, self.folder / "artifacts", self.folder / "checkpoints")
        return [str(finding) for outcome in checked.outcomes for finding in outcome.findings]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    with place.head:
        yield place


def test_a_worker_trains_on_while_its_head_starts_again(place: Place) -> None:
    worker = place.worker(seconds=0.7)
    place.wait_for_epochs(1)
    place.head.kill()
    begun = len(place.epochs_begun())
    wait_until(lambda: len(place.epochs_begun()) > begun)
    place.head.start()
    answer = finish(worker)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert place.epochs_begun() == list(range(1, EPOCHS + 1))
    (attempt,) = place.results().attempts
    assert (attempt.state, len(attempt.history)) == (State.COMPLETE, EPOCHS)
    assert place.findings() == []


def test_a_worker_that_is_drained_while_its_head_is_away_gives_its_cell_back_when_it_is_there(
    place: Place,
) -> None:
    worker = place.worker(seconds=1.0)
    place.wait_for_epochs(1)
    place.head.kill()
    worker.send_signal(signal.SIGTERM)
    begun = len(place.epochs_begun())
    place.head.start()
    answer = finish(worker)
    assert (answer.returncode, answer.stderr) == (3, "")
    first, second = place.results().attempts
    assert (first.state, second.state) == (State.FAILED, State.WAITING)
    assert first.failure is not None
    assert first.failure["class"] == "preempted"
    assert len(place.epochs_begun()) <= begun + 1
    assert len(first.history) == len(place.epochs_begun())
    answer = finish(place.worker(seconds=0.0))
    assert (answer.returncode, answer.stderr) == (0, "")
    assert place.epochs_begun() == list(range(1, EPOCHS + 1))
    assert place.findings() == []


@pytest.mark.parametrize("name", [NAME, ""], ids=["of its study", "of the only study"])
def test_a_worker_that_starts_while_its_head_is_away_waits_for_it(place: Place, name: str) -> None:
    place.head.kill()
    worker = place.worker(seconds=0.0, name=name)
    said = until_it_waits(worker)
    assert worker.poll() is None
    place.head.start()
    answer = finish(worker)
    assert answer.returncode == 0
    assert answer.stderr.count("the only one in") == (not name), answer.stderr
    assert (said + answer.stdout).count("the storage does not answer (") == 1
    assert answer.stdout.count("the storage answers again, after ") == 1
    assert place.epochs_begun() == list(range(1, EPOCHS + 1))
    assert place.findings() == []


def test_a_worker_that_waits_for_its_head_leaves_when_it_is_asked_to(place: Place) -> None:
    place.head.kill()
    worker = place.worker()
    until_it_waits(worker)
    worker.send_signal(signal.SIGTERM)
    answer = finish(worker)
    assert (answer.returncode, answer.stderr) == (3, "")
    assert answer.stdout.endswith("leaving: the worker was stopped by SIGTERM\n")


@pytest.mark.parametrize(
    ("study", "address", "told"),
    [
        ("none", "{address}", "no study 'none' in this storage"),
        (NAME, "https://127.0.0.1:{port}#sha256=" + "0" * 64, "does not speak TLS"),
    ],
)
def test_a_worker_does_not_wait_for_what_does_not_pass(
    place: Place, study: str, address: str, told: str
) -> None:
    url = address.format(address=place.head.address, port=place.head.port)
    answer = finish(start_command("worker", study, folder=place.folder, url=url))
    assert (answer.returncode, answer.stdout) == (2, "")
    (line,) = answer.stderr.splitlines()
    assert told in line


def test_a_run_waits_for_a_head_that_is_being_started(place: Place) -> None:
    place.head.kill()
    spec = str(place.folder / f"{NAME}.toml")
    run = start_command(
        *("run", spec, "--workers", "1", "--checkpoints", str(place.folder / ON_THEIR_WAY)),
        folder=place.folder,
        url=place.head.address,
        environment={EPOCH_SECONDS: "0.0"},
    )
    assert run.stderr is not None
    said = run.stderr.readline()
    assert "the storage does not answer (" in said
    place.head.start()
    answer = finish(run)
    assert answer.returncode == 0, answer
    assert re.match(r"the storage answers again, after \S+ s\n", answer.stderr)
    assert place.findings() == []


def until_it_waits(worker: subprocess.Popen[str]) -> str:
    """The line with which a worker says that it waits."""
    assert worker.stdout is not None
    line = worker.stdout.readline()
    assert "the storage does not answer (" in line, finish(worker)
    return line


def test_a_worker_leaves_with_one_line_when_its_head_is_away_for_too_long_and_its_cell_comes_back(
    place: Place,
) -> None:
    worker = place.worker(seconds=60.0)
    wait_until(lambda: place.results().attempts[0].state == State.RUNNING)
    wait_until(lambda: place.epochs_begun() == [1])
    place.head.kill()
    answer = finish(worker)
    assert answer.returncode == 1
    (line,) = answer.stderr.splitlines()
    assert line.startswith("mnist-tune: the storage has not answered for")
    assert "nothing that was stored is lost" in line
    assert "Traceback" not in answer.stdout
    place.head.start()
    place.head.wait_until_it_answers()
    answer = finish(place.worker(seconds=0.0))
    assert (answer.returncode, answer.stderr) == (0, "")
    lost, complete = place.results().attempts
    assert (lost.state, complete.state) == (State.FAILED, State.COMPLETE)
    assert lost.failure is not None
    assert lost.failure["class"] == "lost"
    assert place.findings() == []
