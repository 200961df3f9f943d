"""`describe`: what a job is, for people and for machines."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import pytest

from mnist_tune.jobs.description import JobDescription
from mnist_tune.jobs.loading import built_in_description
from mnist_tune.study.store import open_study
from tests.support.commands import Command, run_command
from tests.support.own_jobs import FIT, own_job
from tests.support.studies import open_file
from tests.support.tmux import ENDED, terminal
from tests.support.waiting import wait_until

SETTINGS = """
from typing import Annotated, Literal
from pydantic import Field
from mnist_tune import DataOptions

class Data(DataOptions):
    rows: Annotated[int, Field(ge=1, le=100)]

class Settings(Hyperparameters):
    optimizer: Literal["Adam", "SGD"] = "Adam"
    layers: list[int] = []
    nesterov: bool = False
"""
MORE = FIT.replace("class Settings(Hyperparameters):\n", SETTINGS).replace(
    'unit="rows")', 'unit="rows", data_options=Data, objective_epoch="best")'
)


@pytest.mark.slow
def test_a_piped_description_has_a_line_for_each_field(tmp_path: Path, command: Command) -> None:
    own_job(tmp_path, MORE)
    answer = command("describe", "fit.py:train")
    assert (answer.code, answer.err) == (0, "")
    sha256 = hashlib.sha256((tmp_path / "fit.py").read_bytes()).hexdigest()
    assert answer.out.splitlines() == [
        "job fit",
        "objective: error, minimize; the best epoch counts",
        "metrics: whatever it reports",
        "unit: rows",
        "training.epochs: int, at least 1, at most 2147483647, default 10",
        "training.seed: int, at least 0, below 4294967296, default 0",
        "training.optimizer: choice, one of Adam, SGD, default Adam",
        "training.layers: of the job's own type, cannot be searched, default []",
        "training.nesterov: bool, default false",
        "training.learning_rate: float, default 0.1",
        "data.rows: int, at least 1, at most 100, must be given",
        f"source: SHA-256 {sha256}",
    ]


def test_the_built_in_job_is_described_with_its_metrics_and_its_noise(command: Command) -> None:
    lines = command("describe", "mnist").out.splitlines()
    assert "metric: validation_accuracy, in %, at least 0, at most 100" in lines
    assert "noise: a value is a percentage of data.validation_size images" in lines
    assert "more epochs: a complete trial can go on, but not with scheduler = cosine, one_cycle" in lines
    assert "training.momentum: float, at least 0, below 1, default 0" in lines
    assert lines[-1] == "source: comes with mnist-tune"


@pytest.mark.slow
def test_the_json_is_what_a_study_stores(tmp_path: Path, command: Command) -> None:
    assert (
        JobDescription.model_validate(command("describe", "mnist", "--json").json) == built_in_description()
    )
    spec = own_job(tmp_path)
    assert command("create-study", str(spec)).code == 0
    stored = open_study(open_file(tmp_path), "fit").spec.stored()["job"]["description"]
    assert command("describe", "fit.py:train", "--json").json == stored


@pytest.mark.slow
def test_what_a_job_prints_is_no_part_of_its_description(tmp_path: Path) -> None:
    own_job(tmp_path, f"print('imported')\n{FIT}")
    answer = run_command("describe", "fit.py:train", "--json", folder=tmp_path)
    assert json.loads(answer.stdout)["name"] == "fit"
    assert answer.stderr == "imported\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("fit.py:fit", "there is no 'fit' in it; its jobs are train"),
        ("fit.py", "job fit.py: write FILE.py:FUNCTION"),
        ("none", "job none: not installed here; installed are: mnist"),
    ],
)
def test_a_job_that_is_not_there_is_one_line(tmp_path: Path, command: Command, typed: str, says: str) -> None:
    own_job(tmp_path)
    answer = command("describe", typed)
    assert (answer.code, answer.out) == (2, "")
    assert says in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_a_terminal_shows_tables(tmp_path: Path) -> None:
    with terminal() as pane:
        pane.start([sys.executable, "-m", "mnist_tune", "describe", "mnist"], tmp_path, 80, 50)
        wait_until(lambda: any(line.startswith(ENDED) for line in pane.screen()))
        rows = [line.split() for line in pane.screen()]
    assert ["[training]", "type", "values", "default"] in rows
    assert ["optimizer", "choice", "one", "of", "Adam,", "SGD", "Adam"] in rows
    assert ["[data]", "type", "values", "default"] in rows
