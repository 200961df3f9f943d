"""`launch --on slurm` on a real Slurm: time limits, preemption, refusals."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mnist_tune.results.reading import read_results
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import open_study
from tests.papers.commands import LAUNCH_ON_SLURM
from tests.support import slurm_server
from tests.support.commands import Command, finish, start_command
from tests.support.own_jobs import FIT_SPEC, own_job, with_line
from tests.support.slurm_jobs import ASKED
from tests.support.specs import TWO_CELLS
from tests.support.studies import new_study
from tests.support.waiting import wait_until

EPOCHS = 120
LONG_JOB = with_line("__import__('time').sleep(1)")
"""An epoch takes a second and a little, on a fast machine too."""
LONG_SPEC = FIT_SPEC.replace('"fit"', '"seed-grid"').replace("epochs = 3", f"epochs = {EPOCHS}")
LONG_SPEC = LONG_SPEC.replace("[0.1, 0.01]", "[0.1]")
MINUTES = 2
"""Slurm may warn a job a minute earlier than it is asked to: of one minute there would be nothing left."""
PASSWORD = "not-to-be-seen"


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A real Slurm of one node."""
    if reason := slurm_server.why_not():
        pytest.skip(reason)
    (tmp_path / "slurm").mkdir()
    with slurm_server.slurm_server(tmp_path / "slurm") as configuration:
        monkeypatch.setenv("SLURM_CONF", str(configuration))
        yield


def job_states() -> dict[str, tuple[str, int]]:
    """The state of each job of the queue, and how often it was started again."""
    asked = ["squeue", "--array", "--noheader", "--Format=JobArrayID:|,State:|,RestartCnt:|"]
    lines = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = ([field.strip() for field in line.split("|")] for line in lines)
    return {job: (state, int(restarts)) for job, state, restarts, *_ in rows}


def at_once(job: str) -> None:
    """Slurm has a job that was queued again wait for two minutes: for what its first run leaves, too."""

    def node_states() -> set[str]:
        told = subprocess.run(
            ["sinfo", "--noheader", "--format=%T"], capture_output=True, text=True, check=True
        )
        return set(told.stdout.split())

    wait_until(lambda: node_states() == {"idle"})
    time.sleep(3)  # its processes are gone a little later than Slurm says
    started = subprocess.run(["scontrol", "update", f"jobid={job}", "StartTime=now"], check=False)
    # On a slow machine the two minutes are over, and the job runs or has ended.
    assert started.returncode == 0 or job_states().get(job, ("ENDED", 0))[0] != "PENDING"


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.usefixtures("slurm")
def test_on_slurm_workers_drain_before_the_time_limit_and_when_they_are_preempted(
    tmp_path: Path, home: Path, postgres: str
) -> None:
    spec = own_job(tmp_path, LONG_JOB, LONG_SPEC)
    created = finish(start_command("create-study", spec.name, folder=tmp_path, url=postgres))
    assert created.returncode == 0, created.stderr
    study = open_study(open_storage(storage_url(postgres)), "seed-grid")
    secret = postgres.replace("postgres@", f"postgres:{PASSWORD}@")
    line = LAUNCH_ON_SLURM.replace("--workers 32", "--workers 1").replace("--time 240", f"--time {MINUTES}")
    vouched = "--job", "fit.py:train"
    answer = finish(start_command(*shlex.split(line)[1:], *vouched, "--json", folder=tmp_path, url=secret))
    assert (answer.returncode, answer.stderr) == (0, "")
    (job,) = json.loads(answer.stdout)["jobs"]
    wait_until(has_epochs(study, 0))
    assert job_states() == {job: ("RUNNING", 0)}
    wait_until(lambda: job_states() == {job: ("PENDING", 1)})  # queued again before its time was over
    assert reasons(study) == [f"preempted: {ASKED}"]

    at_once(job)
    wait_until(has_epochs(study, 1))
    subprocess.run(["scontrol", "requeue", job], check=True)  # what preemption does
    wait_until(lambda: len(reasons(study)) == 2)
    assert reasons(study)[1] == "preempted: the worker was stopped by SIGTERM"
    wait_until(lambda: job_states() == {job: ("PENDING", 2)})

    again = "launch", "seed-grid", "--on", "slurm", "--workers", "5", *vouched, "--json"
    more = finish(start_command(*again, folder=tmp_path, url=secret))  # a second launch only adds workers
    assert more.returncode == 0, more.stderr
    (other,) = json.loads(more.stdout)["jobs"]
    wait_until(lambda: read_results(study).is_finished, 480)
    wait_until(lambda: other not in job_states())
    at_once(job)
    wait_until(lambda: not job_states())  # it found the study finished
    *drained, complete = read_results(study).attempts
    assert len(drained) == 2
    assert (complete.state, len(complete.history)) == ("complete", EPOCHS)
    assert complete.resumed is not None
    assert complete.resumed["epoch"] == len(drained[1].history)
    log = (home / study.uid / f"{other}_0_log.out").read_text(encoding="utf-8")
    assert ": goes on after epoch " in log
    readable = [path for path in (home / study.uid).rglob("*") if path.is_file()]
    assert not [path for path in readable if PASSWORD.encode() in path.read_bytes()]


def has_epochs(study: OpenStudy, number: int) -> Callable[[], bool]:
    """Whether the trial of that number runs and has stored an epoch of its own."""

    def look() -> bool:
        attempts = read_results(study).attempts[number:]
        if not attempts or attempts[0].state != "running":
            return False
        before: int = (attempts[0].resumed or {}).get("epoch", 0)
        return len(attempts[0].history) > before

    return look


def reasons(study: OpenStudy) -> list[str]:
    """Why attempts failed, without the epoch."""
    failures = [attempt.failure for attempt in read_results(study).attempts if attempt.failure]
    return [f"{failure['class']}: {failure['reason'].split(';')[0]}" for failure in failures]


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.usefixtures("slurm", "home")
def test_what_slurm_refuses_is_one_line(tmp_path: Path, postgres: str, command: Command) -> None:
    new_study(tmp_path, TWO_CELLS, url=postgres)
    options = "--workers", "1", "--storage", postgres, "--engine-option", "partition=nowhere"
    answer = command("launch", "tiny", "--on", "slurm", *options)
    assert (answer.code, answer.out) == (1, "")
    said = "Batch job submission failed: Invalid partition name specified"
    assert answer.err == f"mnist-tune: Slurm refused: {said}\n"
