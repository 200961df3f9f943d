"""No process that we start imports files of the current folder, which belong to the user."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mnist_tune import __version__
from mnist_tune.api.storages import NamedDatabase
from mnist_tune.hardware.placement import Placement
from mnist_tune.processes import child_process
from mnist_tune.processes.child_process import ChildProcess
from mnist_tune.results.reading import read_results
from mnist_tune.study.store import open_study
from mnist_tune.worker.pool import Pool
from tests.support.specs import TINY_SPEC, write_spec
from tests.support.studies import new_study, open_file
from tests.support.waiting import wait_until

MNIST_TUNE = Path(sys.executable).with_name("mnist-tune")
"""The command as users call it. `python -m mnist_tune` would import from the current folder, as asked."""
TWO_CELLS = TINY_SPEC.replace("[64, 128]", "[64]").replace('["Adam", "SGD"]', '["Adam"]')
MARK = "imported from the current folder"

pytestmark = pytest.mark.usefixtures("mnist_directory")


@pytest.fixture
def folder_of_decoys(tmp_path: Path) -> Path:
    """A folder with the spec of a study, and with modules named as some that workers import."""
    write_spec(tmp_path, TWO_CELLS)
    for name in ("random", "signal", "torch", "optuna", "submitit", "mnist_tune/__init__"):
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"raise SystemExit({MARK!r})\n", encoding="utf-8")
    return tmp_path


def run_as_users_do(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [MNIST_TUNE, *arguments],
        cwd=folder,
        env=environment | {"MNIST_TUNE_STORAGE": f"sqlite:///{folder}/studies.db", "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def n_complete(folder: Path) -> int:
    return len(read_results(open_study(open_file(folder), "tiny")).complete)


@pytest.mark.slow
def test_run_and_its_workers_import_nothing_from_the_current_folder(folder_of_decoys: Path) -> None:
    answer = run_as_users_do(folder_of_decoys, "run", "spec.toml", "--workers", "1")
    assert (answer.returncode, answer.stderr) == (0, ""), answer.stdout
    assert n_complete(folder_of_decoys) == 2
    assert MARK not in answer.stdout


@pytest.mark.slow
def test_a_worker_imports_nothing_from_the_current_folder(folder_of_decoys: Path) -> None:
    new_study(folder_of_decoys, TWO_CELLS)
    answer = run_as_users_do(folder_of_decoys, "worker", "tiny")
    assert (answer.returncode, answer.stderr) == (0, ""), answer.stdout
    assert n_complete(folder_of_decoys) == 2


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["slurm", "ray"])
def test_an_engines_workers_import_nothing_from_the_current_folder(
    folder_of_decoys: Path, engine: str
) -> None:
    new_study(folder_of_decoys, TWO_CELLS)
    address = ("--address", "local") if engine == "slurm" else ()
    answer = run_as_users_do(folder_of_decoys, "launch", "tiny", "--on", engine, "--workers", "1", *address)
    assert (answer.returncode, answer.stderr) == (0, ""), answer.stdout
    wait_until(lambda: n_complete(folder_of_decoys) == 2)


def test_a_worker_of_another_version_than_the_commands_is_refused_in_one_line(tmp_path: Path) -> None:
    new_study(tmp_path)
    answer = run_as_users_do(tmp_path, "worker", "tiny", "--pooled", "0.1.0")
    assert (answer.returncode, answer.stdout) == (2, "")
    [line] = answer.stderr.splitlines()
    assert (
        f"is version {__version__}, and the command that started it 0.1.0; install the same version" in line
    )
    assert n_complete(tmp_path) == 0


def test_a_command_says_that_its_workers_are_of_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = new_study(tmp_path)
    monkeypatch.setattr(child_process, "__version__", "0.1.0")  # the version at its start
    pool = Pool("tiny", NamedDatabase(study.storage.engine.url).environment)
    pool.start([Placement("cpu")])
    wait_until(lambda: not pool.is_alive())
    assert pool.exit_code() == 2
    [failure] = pool.failures()
    assert "exited with 2: mnist-tune: " in failure
    assert f"is version {__version__}, and the command that started it 0.1.0" in failure


def test_a_process_started_by_exec_imports_nothing_from_the_current_folder_either(
    folder_of_decoys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder_of_decoys)
    monkeypatch.setattr("mnist_tune.processes.fork_server.start_method", lambda: "spawn")
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    child = ChildProcess("importlib:import_module", ["optuna"])
    child.start()
    assert str(child.wait(60)) == "exited with 0"
