"""`init job`: files to begin with that work as they stand."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mnist_tune.jobs import first_job
from mnist_tune.results.reading import read_results
from mnist_tune.study.store import open_study
from tests.support.commands import Command, run_command
from tests.support.specs import STUDIES
from tests.support.stored_content import files_in, names_in
from tests.support.studies import open_file

ROOT = STUDIES.parent


@pytest.mark.slow
def test_the_files_of_init_job_work_as_it_says(tmp_path: Path) -> None:
    answer = run_command("init", "job", "my fits/churn", folder=tmp_path)
    assert (answer.returncode, answer.stderr) == (0, "")
    folder = tmp_path / "my fits" / "churn"
    assert names_in(folder) == ["churn.py", "churn.toml", "test_churn.py"]
    wrote, *lines = answer.stdout.splitlines()
    assert wrote == "wrote my fits/churn/churn.py, my fits/churn/churn.toml, my fits/churn/test_churn.py"
    attempt, search, test = (shlex.split(line.partition(": ")[2]) for line in lines)

    tried = run_command(*attempt[1:], "--epochs", "2", folder=tmp_path)
    assert (tried.returncode, tried.stderr) == (0, "")
    assert "epoch 2/2: training error " in tried.stdout
    assert "file: model.safetensors, " in tried.stdout
    assert "from which a retry goes on" in tried.stdout

    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    pytest_alone = [sys.executable, "-m", *test, "-p", "no:cacheprovider"]
    tests = subprocess.run(
        pytest_alone, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert tests.returncode == 0, tests.stdout + tests.stderr
    assert "2 passed" in tests.stdout

    assert run_command("create-study", search[-1], folder=tmp_path).returncode == 0
    worker = run_command("worker", "churn", "--job", attempt[-1], folder=tmp_path)
    assert worker.returncode == 0, worker.stderr
    results = read_results(open_study(open_file(tmp_path), "churn"))
    assert results.cells.complete == 8
    assert results.best is not None


@pytest.mark.slow
def test_the_written_files_keep_to_the_rules_of_this_project(tmp_path: Path, command: Command) -> None:
    assert command("init", "job", "churn").code == 0
    rules = ["--config", str(ROOT / "pyproject.toml"), "--no-cache", "churn"]
    for check in (["check"], ["format", "--check"]):
        found = subprocess.run(
            [sys.executable, "-m", "ruff", *check, *rules], capture_output=True, text=True, check=False
        )
        assert found.returncode == 0, found.stdout + found.stderr


def test_nothing_is_overwritten(tmp_path: Path, command: Command) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("mine")
    (tmp_path / "file").write_text("mine")
    before = files_in(tmp_path)
    answer = command("init", "job", "mine")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "mnist-tune: mine: is not empty, and nothing is overwritten; name another folder\n"
    answer = command("init", "job", "file")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "mnist-tune: file: cannot be made: File exists; name another folder\n"
    assert files_in(tmp_path) == before


def test_an_empty_folder_is_filled_and_without_a_name_it_is_called_job(
    tmp_path: Path, command: Command
) -> None:
    (tmp_path / "empty").mkdir()
    assert command("init", "job", "empty").code == 0
    assert command("init", "job").code == 0
    assert names_in(tmp_path / "job") == ["job.py", "job.toml", "test_job.py"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["torch", "random", "2nd", "class", "grö", "a b", "x" * 80])
def test_a_folders_name_that_no_module_can_have_is_not_taken(
    tmp_path: Path, command: Command, name: str
) -> None:
    assert command("init", "job", name).code == 0
    assert names_in(tmp_path / name) == ["my_job.py", "my_job.toml", "test_my_job.py"]
    assert command("create-study", f"{name}/my_job.toml").code == 0


@pytest.mark.slow
def test_dashes_become_underscores(tmp_path: Path, command: Command) -> None:
    assert command("init", "job", "house-prices").code == 0
    assert "house_prices.py" in names_in(tmp_path / "house-prices")


def test_what_is_no_kind_of_file_is_one_line(tmp_path: Path, command: Command) -> None:
    answer = command("init", "jbo", "churn")
    assert (answer.code, answer.out) == (2, "")
    assert "'jbo' is not one of 'studies', 'job'" in answer.err
    assert names_in(tmp_path) == []


def test_a_wheel_carries_the_templates() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert (wheel["packages"], "exclude" in wheel, "only-include" in wheel) == (["mnist_tune"], False, False)
    files = list(first_job.TEMPLATES.iterdir())
    assert len(files) == 3
    ignored = subprocess.run(
        ["git", "check-ignore", *map(str, files)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ignored.stdout == "", "hatchling leaves out what git ignores"
