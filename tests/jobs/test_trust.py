"""A worker runs only the job that its own machine vouches for, whatever a database holds."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from mnist_tune.errors import Damaged
from mnist_tune.jobs.loading import built_in_description
from mnist_tune.records.epochs import history_of
from mnist_tune.text.visible import visible
from tests.support.commands import Command, finish, run_command, start_command
from tests.support.own_jobs import own_job

EVIL = 'from pathlib import Path\nPath(__file__).with_name("was-run").touch()\n'


def change_spec(database: Path, changes: dict[str, Any]) -> None:
    """Change the table [job] of the stored spec, as whoever can write to the database may."""
    connection = sqlite3.connect(database)
    with connection:
        (text,) = connection.execute(
            "SELECT value_json FROM study_user_attributes WHERE key = 'mnist_tune:spec'"
        ).fetchone()
        spec = json.loads(text)
        spec["job"] |= changes
        connection.execute(
            "UPDATE study_user_attributes SET value_json = ? WHERE key = 'mnist_tune:spec'",
            [json.dumps(spec)],
        )
    connection.close()


FIT_WITH: dict[str, Any] = {
    "name": "x",
    "objective": "error",
    "direction": "minimize",
    "hyperparameters": {"properties": {name: {"type": "integer"} for name in ("epochs", "seed")}},
}
"""A description that is right, to be changed."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study whose job is a file."""
    folder = tmp_path_factory.mktemp("made")
    answer = run_command("create-study", str(own_job(folder)), folder=folder)
    assert answer.returncode == 0, answer
    return folder


@pytest.fixture
def study(made: Path, tmp_path: Path) -> Path:
    """A folder with a study whose job is a file, and a file that must never be run."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    (tmp_path / "evil.py").write_text(EVIL, encoding="utf-8")
    return tmp_path


@pytest.mark.slow
def test_a_worker_asks_for_the_file_of_a_job(study: Path) -> None:
    answer = finish(start_command("worker", "fit", folder=study))
    assert answer.returncode == 2
    assert answer.stderr == (
        "mnist-tune: the study's job is fit.py:train, a file; say where it is on this machine, if you trust "
        "it: --job PATH/fit.py:train\n"
    )


@pytest.mark.slow
def test_a_worker_takes_the_file_that_it_is_told(study: Path) -> None:
    for options, environment in ((["--job", "fit.py:train"], {}), ([], {"MNIST_TUNE_JOB": "fit.py:train"})):
        line = ["worker", "fit", *options, "--max-trials", "1"]
        answer = finish(start_command(*line, folder=study, environment=environment or None))
        assert answer.returncode == 0, answer.stderr
        assert "complete: error " in answer.stdout


@pytest.mark.parametrize(
    "changes",
    [
        {"file": "evil.py:train"},
        {"file": "/etc/passwd.py:train"},
        {"file": None, "name": "evil"},
        {"file": None, "name": "os"},
        {"file": None, "name": "evil:train"},
        {"file": "evil.py:train", "command": ["touch", "was-run"]},
    ],
    ids=str,
)
def test_a_stored_name_makes_nothing_run(study: Path, command: Command, changes: dict[str, Any]) -> None:
    change_spec(study / "studies.db", {key: value for key, value in changes.items() if value is not None})
    if changes.get("file", "") is None:
        connection = sqlite3.connect(study / "studies.db")
        with connection:
            connection.execute(
                "UPDATE study_user_attributes SET value_json = json_remove(value_json, '$.job.file') "
                "WHERE key = 'mnist_tune:spec'"
            )
        connection.close()
    worker = finish(start_command("worker", "fit", folder=study))
    assert worker.returncode in (1, 2)
    assert worker.stderr.count("\n") == 1
    for line in ("status fit", "report fit", "verify fit", "export fit"):
        assert "a bug of mnist-tune" not in command(*line.split()).err, line
    assert not list(study.rglob("was-run"))


@pytest.mark.parametrize(
    "description",
    [
        None,
        5,
        {},
        {"name": "x"},
        {"name": "x", "objective": "a b", "direction": "minimize", "hyperparameters": {}},
        {"name": "x", "objective": "error", "direction": "minimize", "hyperparameters": {"properties": 5}},
        FIT_WITH | {"metrics": {"error": {"unit": "m\n"}}},
        FIT_WITH | {"metrics": {"error": {"title": "\x1b[2J"}}},
        FIT_WITH | {"metrics": {"luck\n\x1b[2J": {}}},
        FIT_WITH | {"unit": "rows\n\x1b[2J"},
        {
            "name": "x",
            "objective": "error",
            "direction": "minimize",
            "hyperparameters": {"properties": {"__class__": {"type": "integer"}}},
        },
    ],
    ids=str,
)
def test_a_damaged_description_is_one_line(study: Path, command: Command, description: Any) -> None:
    change_spec(study / "studies.db", {"description": description})
    answer = command("status", "fit")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("mnist-tune: the stored spec of study 'fit' is damaged: ")
    assert answer.err.count("\n") == 1
    assert "\x1b" not in answer.err


def test_a_stored_name_of_a_metric_that_is_none_is_damage() -> None:
    named = json.dumps({"validation_accuracy": 90.0, "luck\n\x1b[2J": 1.0, "seconds": 1.0})
    with pytest.raises(Damaged, match=r"^is damaged in epoch 1: .* is not allowed") as told:
        history_of([(1, named)], built_in_description())
    assert "\n" not in visible(told.value)
