"""What a command loads and waits for before it is useful; a benchmark measures how long that takes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mnist_tune.storage.named import ENVIRONMENT_VARIABLE
from tests.benchmarks.start_up import (
    FIRST_STEP,
    FLOORS,
    IMPORT,
    MILESTONES,
    NOTHING_TO_DO,
    READY,
    STARTS,
    measure,
    profile,
    profile_table,
    table,
)
from tests.support.commands import STORED, finish, run_command, start_command
from tests.support.made_studies.cells import complete_cell
from tests.support.process_tree import descendants
from tests.support.specs import STUDIES
from tests.support.studies import new_study, take
from tests.support.waiting import wait_until

FOR_EVER = "import time; time.sleep(600)"  # longer than any test waits


def loads_for_ever(folder: Path, *packages: str) -> dict[str, str]:
    """An environment in which every process hangs when it imports one of these."""
    for package in packages:
        (folder / f"{package}.py").write_text(FOR_EVER, encoding="utf-8")
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(STUDIES.parent)])}


def start_worker_that_is_loading(folder: Path, *packages: str) -> tuple[subprocess.Popen[str], list[int]]:
    """A worker that hangs, like its fork server, while it loads these packages, and all its descendants."""
    environment = loads_for_ever(folder, *packages) | {"TMPDIR": str(folder)}
    worker = start_command("worker", "tiny", folder=folder, environment=environment)
    wait_until(lambda: any("forkserver" in command_line(pid) for pid in descendants(worker.pid)))
    return worker, descendants(worker.pid)


def command_line(pid: int) -> str:
    """The command line that `ps` shows for a process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def are_gone(pids: list[int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.slow
def test_a_worker_that_is_killed_while_it_loads_leaves_no_process_and_no_traceback(tmp_path: Path) -> None:
    worker, started = start_worker_that_is_loading(tmp_path, "optuna", "torch")
    worker.kill()
    answer = finish(worker)  # which waits for all that could write to the same pipes
    assert (answer.stdout, answer.stderr) == ("", "")
    wait_until(lambda: are_gone(started))
    assert not list(tmp_path.glob("pymp-*"))  # multiprocessing's


@pytest.mark.slow
def test_ctrl_c_while_torch_loads_leaves_no_process_and_no_traceback(tmp_path: Path) -> None:
    new_study(tmp_path)
    worker, started = start_worker_that_is_loading(tmp_path, "torch")
    for pid in [*started, worker.pid]:  # a terminal sends it to all
        os.kill(pid, signal.SIGINT)
    answer = finish(worker)
    assert (answer.returncode, answer.stderr) == (3, "")
    assert answer.stdout.endswith("leaving: the worker was stopped by SIGINT\n")
    wait_until(lambda: are_gone(started))


@pytest.mark.slow
def test_a_mistyped_study_does_not_wait_for_torch_and_leaves_no_process(tmp_path: Path) -> None:
    new_study(tmp_path)
    environment = loads_for_ever(tmp_path, "torch")
    answer = run_command("worker", "tinny", folder=tmp_path, environment=environment)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == "mnist-tune: no study 'tinny' in this storage; did you mean 'tiny'?\n"


@pytest.mark.slow
def test_a_worker_on_a_finished_study_does_not_wait_for_torch_and_leaves_no_process(tmp_path: Path) -> None:
    queue = new_study(tmp_path).queue()
    for _ in range(8):
        queue.complete(take(queue), 90.0)
    environment = loads_for_ever(tmp_path, "torch")
    answer = run_command("worker", "tiny", folder=tmp_path, environment=environment)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.endswith(" leaving: the study is finished\n")


@pytest.mark.slow
def test_no_command_loads_what_it_has_no_use_for(mnist_directory: Path) -> None:
    profiles = profile(mnist_directory)
    loaded = {name: {one.module for one in imports} for name, imports in profiles.items()}
    assert not loaded["--help"] & {"optuna", "sqlalchemy", "torch", "numpy"}
    for command in ("status", "worker"):
        assert loaded[command] >= {"optuna", "sqlalchemy"}
        assert not loaded[command] & {"torch", "torchvision"}
    assert "torch" in loaded["its training process"]
    assert not loaded["its training process"] & {"optuna", "sqlalchemy", "typer"}
    assert "status: " in profile_table(profiles)


def test_an_import_whose_time_is_negative_is_read_too() -> None:
    told = (
        "import time: self [us] | cumulative | imported package\nimport time: -1266 | 240816 |     optuna\n"
    )
    assert [(one["microseconds"], one["module"]) for one in IMPORT.finditer(told)] == [("240816", "optuna")]


@pytest.mark.slow
def test_the_starts_are_measured_beside_their_floors(mnist_directory: Path) -> None:
    starts = measure(1, mnist_directory)
    assert starts.keys() == STARTS.keys() | MILESTONES.keys()
    assert starts[READY].milliseconds.median < starts[FIRST_STEP].milliseconds.median
    for name, start in starts.items():
        assert start.milliseconds.lowest > 0
        assert start.floor == FLOORS.get(name)
    assert starts[NOTHING_TO_DO].times_the_floor is not None
    head, *lines = table(starts).splitlines()
    assert head.split() == ["milliseconds", "to", "times", "its", "floor"]
    assert len(lines) == len(starts)


@pytest.mark.slow
def test_commands_that_only_look_do_not_wait_for_torch(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    for _ in range(8):
        complete_cell(study, 90.0)
    script = """
import sys
import time
from mnist_tune.__main__ import main
for line in sys.argv[1:]:
    sys.argv = ["mnist-tune", *line.split()]
    try:
        main()
    except SystemExit as leaving:
        assert not leaving.code, line
    heavy = {"torch", "torchvision"} | ({"optuna", "sqlalchemy"} if "--help" in line else set())
    assert not heavy & sys.modules.keys(), (line, heavy & sys.modules.keys())
"""
    reading = ["studies", "status tiny", "export tiny", "logs tiny"]
    lines = ["--help", "worker --help", "create-study spec.toml", *reading]
    environment = {ENVIRONMENT_VARIABLE: f"sqlite:///{tmp_path}/{STORED}", "PATH": ""}
    answer = subprocess.run(
        [sys.executable, "-c", script, *lines],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.returncode, answer.stderr) == (0, "")
