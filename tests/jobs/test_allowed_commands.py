"""A command runs only where somebody has allowed it, whatever a database holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mnist_tune.jobs.command.permitted import digest
from mnist_tune.spec.reading import load_spec
from tests.jobs.test_trust import change_spec
from tests.support.command_jobs import command_job
from tests.support.commands import Command, finish, start_command


def test_a_command_runs_only_where_it_is_allowed(tmp_path: Path, command: Command) -> None:
    assert command("create-study", str(command_job(tmp_path))).code == 0
    refusal = (
        "mnist-tune: the study's job is a command: python decay.py {args}; if you trust it, say in which "
        "folder it is to be run: --allow-command FOLDER\n"
    )
    answer = finish(start_command("worker", "decay", folder=tmp_path))
    assert (answer.returncode, answer.stderr) == (2, refusal)
    launched = command("launch", "decay", "--on", "slurm", "--workers", "1", "--address", "local")
    assert (launched.code, launched.err) == (2, refusal)
    answer = finish(start_command("worker", "decay", "--job", "decay.py:train", folder=tmp_path))
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)
    allowed = finish(start_command("worker", "decay", "--allow-command", str(tmp_path), folder=tmp_path))
    assert allowed.returncode == 0, allowed.stderr
    assert f"runs in {tmp_path}: python decay.py {{args}}" in allowed.stdout


def test_a_run_does_not_run_a_command_that_was_changed_in_its_database(
    tmp_path: Path, command: Command
) -> None:
    spec = command_job(tmp_path)
    assert command("create-study", str(spec)).code == 0
    known = digest(load_spec(spec).job)
    assert known is not None
    change_spec(tmp_path / "studies.db", {"command": ["touch", "was-run"]})
    line = ["worker", "decay", "--allow-command", ".", "--command-digest", known]
    answer = finish(start_command(*line, folder=tmp_path))
    assert answer.returncode == 2
    assert answer.stderr == (
        "mnist-tune: the study's command is not the one of its spec any more: touch was-run; create the "
        "study anew, under another name\n"
    )
    assert finish(start_command("run", str(spec), folder=tmp_path)).returncode == 2
    assert not list(tmp_path.rglob("was-run"))


@pytest.mark.parametrize(
    "changes",
    [
        {"objective": "loss"},
        {"unit": "images"},
        {"metrics": {"loss": {}}},
        {"command": 5},
        {"command": ["python", "{gone}"]},
        {"command": ["x"] * 501},
        {"pattern": "("},
        {"pattern": ["(?P<error>a{99999999999})"]},
        {"hyperparameters": 7},
        {"description": None},
    ],
    ids=str,
)
def test_a_table_in_a_database_that_no_worker_could_go_by_is_one_line(
    tmp_path: Path, command: Command, changes: dict[str, Any]
) -> None:
    assert command("create-study", str(command_job(tmp_path))).code == 0
    change_spec(tmp_path / "studies.db", changes)
    for line in (["status", "decay"], ["worker", "decay", "--allow-command", str(tmp_path)]):
        answer = command(*line)
        assert (answer.code, answer.out, answer.err.count("\n")) == (1, "", 1), answer.err
        assert "job" in answer.err
