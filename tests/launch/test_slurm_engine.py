"""`launch --on slurm` through submitit's local executor, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import submitit
from submitit.slurm.slurm import _make_sbatch_string

import mnist_tune.launch
from mnist_tune.errors import UserError
from mnist_tune.launch import slurm_engine
from mnist_tune.launch.request import LaunchRequest, engine_options
from mnist_tune.results.reading import read_results
from mnist_tune.storage.named import ENVIRONMENT_VARIABLE
from tests.support.commands import Command, finish, start_command
from tests.support.process_tree import descendants
from tests.support.slurm_jobs import ASKED
from tests.support.specs import LONG_TRIAL
from tests.support.studies import new_study
from tests.support.waiting import wait_until

NOWHERE = {ENVIRONMENT_VARIABLE: "postgresql://user@host/studies"}


def launch_to_the_end(
    folder: Path, *options: str, url: str | None = None
) -> subprocess.CompletedProcess[str]:
    """With submitit's local executor its jobs hold this command's output open: it lasts until they end."""
    command = start_command("launch", "tiny", "--on", "slurm", *options, "--json", folder=folder, url=url)
    return finish(command)


def test_options_go_to_submitit_by_its_own_names_and_the_rest_to_sbatch() -> None:
    options = engine_options(["partition=long", "signal_delay_s=600", "nice=5"])
    order = LaunchRequest("tiny", NOWHERE, 3, options=options)
    told = slurm_engine._parameters(order, minutes=60)
    executor = submitit.AutoExecutor("jobs", cluster="local")
    executor.update_parameters(**told)  # which refuses what it does not know
    own = {name.removeprefix("slurm_"): value for name, value in told.items() if name.startswith("slurm_")}
    script = _make_sbatch_string("worker", "jobs", **own)
    assert "#SBATCH --partition=long" in script
    assert "#SBATCH --signal=USR2@600" in script
    assert "#SBATCH --nice=5" in script
    assert "signal-delay" not in script


@pytest.mark.parametrize(
    ("option", "remedy"),
    [("time=240", "--time"), ("cpus_per_task=4", "--cpus-per-worker"), ("array=0-3", "--workers")],
)
def test_what_is_an_option_of_launch_is_refused_as_one_of_slurm(option: str, remedy: str) -> None:
    with pytest.raises(UserError, match=rf"--engine-option {option}: write {remedy}"):
        slurm_engine._parameters(
            LaunchRequest("tiny", NOWHERE, 1, options=engine_options([option])), minutes=60
        )


@pytest.mark.slow
@pytest.mark.usefixtures("mnist_directory")
def test_submitits_local_executor_runs_the_workers(tmp_path: Path, home: Path) -> None:
    study = new_study(tmp_path)
    answer = launch_to_the_end(tmp_path, "--workers", "2", "--address", "local")
    assert (answer.returncode, answer.stderr) == (0, "")
    told = json.loads(answer.stdout)
    assert (told["engine"], told["workers"], len(told["jobs"])) == ("slurm", 2, 2)
    results = read_results(study)
    assert [attempt.state for attempt in results.attempts] == ["complete"] * 8
    assert {worker.departure for worker in results.workers} == {"the study is finished"}
    assert told["logs"] == str(home / study.uid)
    assert Path(told["logs"]).stat().st_mode & 0o777 == 0o700
    log = "".join(path.read_text() for path in Path(told["logs"]).glob("*.out"))
    assert log.count(": complete: validation accuracy ") == 8
    pickled = b"".join(path.read_bytes() for path in Path(told["logs"]).glob("*submitted.pkl"))
    assert b"tiny" in pickled
    assert b"sqlite" not in pickled


@pytest.mark.slow
@pytest.mark.usefixtures("mnist_directory", "home")
def test_submitits_signal_drains_the_worker_and_queues_the_job_again(tmp_path: Path) -> None:
    study = new_study(tmp_path, LONG_TRIAL)
    asked = "launch", "tiny", "--on", "slurm", "--workers", "3", "--address", "local"
    launcher = start_command(*asked, folder=tmp_path)
    wait_until(lambda: any(attempt.history for attempt in read_results(study).attempts))
    (worker,) = [worker for worker in read_results(study).workers if worker.state == "working"]
    job = parent(worker.pid)
    for pid in (job, *descendants(job)):  # as Slurm does, to all processes of the job
        os.kill(pid, signal.SIGUSR2)
    answer = finish(launcher)
    assert answer.returncode == 0
    assert "submitted 1 worker of 1 CPU: job " in answer.stdout  # there is one cell
    drained, complete = read_results(study).attempts
    assert drained.failure is not None
    assert drained.failure["reason"].startswith(f"{ASKED}; stopped after epoch ")
    assert (complete.state, len(complete.history)) == ("complete", 15)
    assert complete.resumed is not None
    assert complete.resumed["epoch"] == len(drained.history)


def parent(pid: int) -> int:
    """The process that started it."""
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[1])


def refusal_of(command: Command, *options: str) -> Any:
    answer = command("launch", "tiny", "--on", "slurm", "--workers", "2", *options)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.count("\n") == 1
    return answer.err


def test_a_file_is_refused_with_the_way_out(tmp_path: Path, command: Command) -> None:
    new_study(tmp_path)
    said = refusal_of(command)
    assert "studies.db: is a file of this machine, and Slurm may start workers on others; " in said
    assert "let them in with 'mnist-tune serve --storage sqlite:///" in said


def test_parts_of_a_gpu_and_places_without_slurm_are_refused(
    tmp_path: Path, command: Command, home: Path
) -> None:
    new_study(tmp_path)
    said = refusal_of(command, "--address", "local", "--gpus-per-worker", "0.25")
    assert said == "mnist-tune: --gpus-per-worker 0.25: Slurm gives whole ones; write 1\n"
    assert "leave it out, or write local" in refusal_of(command, "--address", "elsewhere")
    assert not home.exists()


def test_without_the_extra_one_line_says_how_to_get_it(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_study(tmp_path)
    monkeypatch.setitem(sys.modules, "submitit", None)
    monkeypatch.delitem(sys.modules, "mnist_tune.launch.slurm_engine", raising=False)
    monkeypatch.delattr(mnist_tune.launch, "slurm_engine", raising=False)
    assert (
        refusal_of(command) == "mnist-tune: --on slurm: needs submitit; run pip install 'mnist-tune[slurm]'\n"
    )
