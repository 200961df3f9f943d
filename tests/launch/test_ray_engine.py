"""`launch --on ray`: real Ray clusters on this machine, with nodes that die and launchers that are killed."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import mnist_tune.launch
from mnist_tune.contract.study import Control
from mnist_tune.errors import UserError
from mnist_tune.launch.request import LaunchRequest
from mnist_tune.queue.control import set_control
from mnist_tune.results.reading import read_results
from mnist_tune.results.study_results import Results
from mnist_tune.storage.named import ENVIRONMENT_VARIABLE
from tests.papers.commands import LAUNCH_ON_RAY
from tests.support.commands import Command, finish, start_command
from tests.support.process_tree import descendants, kill_all
from tests.support.specs import LONG_TRIAL, TINY_SPEC, lease_lines
from tests.support.studies import new_study, work
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

    from mnist_tune.study.open_study import OpenStudy

SIXTEEN_CELLS = TINY_SPEC.replace("[search.grid]", "[search.grid]\nseed = [0, 1]").replace(
    "epochs = 2", "epochs = 8"
).replace("tiny", "seed-grid") + lease_lines(0.5, 4.0)
NODE = {"num_cpus": 1}
PASSWORD = "not-to-be-seen"


@pytest.fixture
def cluster(ray_home: Path) -> Iterator[Cluster]:
    """A node with one CPU, at the head; more are to be added."""
    from ray.cluster_utils import Cluster

    (ray_home / "ray").mkdir()
    head = NODE | {"include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    yield cluster
    cluster.shutdown()


def pull_the_plug(node: Any) -> None:
    """Kill all processes of a node at once: Ray's, our workers, and what trains for them."""
    raylets = [info.process.pid for infos in node.all_processes.values() for info in infos]
    kill_all([*raylets, *(pid for raylet in raylets for pid in descendants(raylet))])


def states(results: Results) -> Counter[str]:
    return Counter(attempt.state for attempt in results.attempts)


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.usefixtures("mnist_directory")
def test_a_lost_node_and_a_killed_launcher_cost_nothing(
    tmp_path: Path, ray_home: Path, cluster: Cluster, postgres: str
) -> None:
    study = new_study(tmp_path, SIXTEEN_CELLS, url=postgres)
    secret = postgres.replace("postgres@", f"postgres:{PASSWORD}@")

    def launch() -> Any:
        folders = "--checkpoints", str(tmp_path / "checkpoints"), "--artifacts", str(tmp_path / "artifacts")
        line = LAUNCH_ON_RAY.replace("--workers 8", "--workers 3").replace("auto", cluster.address)
        return start_command(*shlex.split(line)[1:], *folders, folder=tmp_path, url=secret)

    doomed = cluster.add_node(**NODE)
    first = launch()
    wait_until(
        lambda: (
            states_of_workers(study)["working"] == 2
            and any(attempt.history for attempt in read_results(study).attempts)
        )
    )
    assert states_of_workers(study) == {"working": 2}  # the third waits: there are two CPUs
    pull_the_plug(doomed)
    set_control(study.storage, study.study_id, Control.PAUSED)  # cells are left until the new nodes work
    wait_until(lambda: any(failed(study, "lost")))
    for _ in range(2):
        cluster.add_node(**NODE)  # what an autoscaler does when workers wait for room
    wait_until(lambda: states_of_workers(study) == {"idle": 3, "silent": 1})
    set_control(study.storage, study.study_id, Control.RUNNING)
    wait_until(lambda: states_of_workers(study)["working"] == 3)
    first.kill()
    out, _ = first.communicate()
    assert PASSWORD not in out
    assert "3 workers of 1 CPU each" in out
    assert not read_results(study).is_finished

    again = finish(launch())
    assert again.returncode == 0, again.stdout + again.stderr
    results = read_results(study)
    assert results.cells.complete == 16
    assert states(results) == {"complete": 16, "failed": len(results.attempts) - 16}
    assert {attempt.failure["class"] for attempt in results.attempts if attempt.failure} <= {
        "lost",
        "preempted",
    }
    verified = finish(
        start_command(
            "verify", "seed-grid", "--artifacts", str(tmp_path / "artifacts"), folder=tmp_path, url=secret
        )
    )
    assert verified.returncode == 0, verified.stdout
    finished = finish(launch())
    assert (finished.returncode, finished.stdout) == (0, "study 'seed-grid' is finished: nothing to launch\n")
    assert len(read_results(study).attempts) == len(results.attempts)
    written = [path for path in ray_home.rglob("*") if path.is_file() and not path.is_symlink()]
    assert any("trial" in path.read_text(errors="replace") for path in written if path.suffix == ".out")
    assert not [path for path in written if PASSWORD.encode() in path.read_bytes()]


def states_of_workers(study: OpenStudy) -> Counter[str]:
    return Counter(worker.state for worker in read_results(study).workers)


def failed(study: OpenStudy, kind: str) -> Iterator[str]:
    """The reasons of the attempts that failed so."""
    for attempt in read_results(study).attempts:
        if attempt.failure and attempt.failure["class"] == kind:
            yield attempt.failure["reason"]


@pytest.mark.slow
@pytest.mark.usefixtures("mnist_directory", "ray_home")
def test_ctrl_c_at_the_launcher_drains_the_workers_and_the_next_one_goes_on(tmp_path: Path) -> None:
    study = new_study(tmp_path, LONG_TRIAL)
    asked = "launch", "tiny", "--on", "ray", "--workers", "2"
    launcher = start_command(*asked, folder=tmp_path)
    wait_until(lambda: any(attempt.history for attempt in read_results(study).attempts))
    launcher.send_signal(signal.SIGINT)
    answer = finish(launcher)
    assert (answer.returncode, answer.stderr) == (3, ""), answer.stdout
    assert "on Ray on this machine, 1 node: 1 worker of 1 CPU\n" in answer.stdout  # one cell, so one
    assert "stopping: the workers finish their epochs" in answer.stdout
    (reason,) = failed(study, "preempted")
    assert reason.startswith("the process that started the worker asked it to stop; stopped after epoch ")
    again = finish(start_command(*asked, "--json", folder=tmp_path))
    assert again.returncode == 0, again.stdout + again.stderr
    assert '"engine": "ray"' in again.stdout
    stopped, complete = read_results(study).attempts
    assert complete.state == "complete"
    assert complete.resumed is not None
    assert complete.resumed["epoch"] == len(stopped.history)


@pytest.mark.slow
@pytest.mark.usefixtures("mnist_directory", "ray_home")
def test_a_worker_that_dies_is_started_again_three_times(tmp_path: Path) -> None:
    study = new_study(tmp_path, f"{LONG_TRIAL}\n[retry]\nlost = -1\n")
    launcher = start_command("launch", "tiny", "--on", "ray", "--workers", "1", folder=tmp_path)
    killed: set[int] = set()
    while launcher.poll() is None:
        for worker in read_results(study).workers:
            if worker.pid not in killed:
                killed.add(worker.pid)
                os.kill(worker.pid, signal.SIGKILL)
        time.sleep(0.1)
    answer = finish(launcher)
    assert (answer.returncode, answer.stderr) == (1, "")
    assert len(killed) == 4
    assert "\na worker was killed by SIGKILL: " in answer.stdout
    assert not read_results(study).is_finished


@pytest.mark.slow
@pytest.mark.usefixtures("mnist_directory", "ray_home")
def test_a_worker_that_was_told_nonsense_is_not_started_again(tmp_path: Path) -> None:
    new_study(tmp_path)
    asked = "launch", "tiny", "--on", "ray", "--workers", "1", "--device", "cuda:7"
    answer = finish(start_command(*asked, folder=tmp_path))
    assert (answer.returncode, answer.stderr) == (2, "")
    assert "a worker exited with 2: mnist-tune: device 'cuda:7' is not there" in answer.stdout


@pytest.mark.parametrize("address", ["auto", "ray://head:10001", "10.0.0.1:6379"])
def test_a_file_is_refused_for_a_cluster_with_the_way_out(
    tmp_path: Path, command: Command, address: str
) -> None:
    new_study(tmp_path)
    answer = command("launch", "tiny", "--on", "ray", "--workers", "2", "--address", address)
    assert (answer.code, answer.out) == (2, "")
    url = f"sqlite:///{tmp_path}/studies.db"
    assert answer.err == (
        f"mnist-tune: {url}: is a file of this machine, and Ray at {address} may start workers on others; "
        f"let them in with 'mnist-tune serve --storage {url} --host 0.0.0.0', and name the address that it "
        "prints as --storage\n"
    )


def test_without_the_extra_one_line_says_how_to_get_it(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_study(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "mnist_tune.launch.ray_engine", raising=False)
    monkeypatch.delattr(mnist_tune.launch, "ray_engine", raising=False)
    answer = command("launch", "tiny", "--on", "ray", "--workers", "2")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "mnist-tune: --on ray: needs Ray; run pip install 'mnist-tune[ray]'\n"


def test_a_cluster_that_is_not_there_is_one_line_at_once(tmp_path: Path) -> None:
    from mnist_tune.launch import ray_engine

    order = LaunchRequest("tiny", {ENVIRONMENT_VARIABLE: "postgresql://nowhere/studies"}, 1)
    for address in ("127.0.0.1:1", "ray://127.0.0.1:1"):
        with pytest.raises(UserError, match=f"--address {address}: no Ray cluster answers there"):
            ray_engine.connect(order, address)


def test_a_finished_study_is_launched_nowhere(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = new_study(tmp_path)
    work(study, lambda _: 50.0)
    monkeypatch.setitem(sys.modules, "ray", None)  # it is not even asked for
    answer = command("launch", "tiny", "--on", "ray", "--workers", "2", "--json")
    assert (answer.code, answer.json["workers"]) == (0, 0)
    assert answer.err == "study 'tiny' is finished: nothing to launch\n"


def test_an_option_of_the_engine_is_a_pair(tmp_path: Path, command: Command) -> None:
    new_study(tmp_path)
    answer = command("launch", "tiny", "--on", "ray", "--workers", "2", "--engine-option", "fast_disk")
    assert (answer.code, answer.err) == (2, "mnist-tune: --engine-option fast_disk: write KEY=VALUE\n")
