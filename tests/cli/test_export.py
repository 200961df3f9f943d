"""`export`: the winner's configuration, in every format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mnist_tune.jobs.mnist.hyperparameters import TrainingConfig
from mnist_tune.results.exports import load_configuration
from mnist_tune.results.reading import read_results
from mnist_tune.study.store import open_study
from tests.support.commands import STORED, Command
from tests.support.finished_run import FinishedRun
from tests.support.stored_content import files_in
from tests.support.studies import open_file


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["toml", "json", "yaml"])
def test_every_format_of_an_export_reads_back_as_the_same_configuration(
    tmp_path: Path, command: Command, finished: FinishedRun, format_: str
) -> None:
    results = read_results(open_study(open_file(finished.folder), "tiny"))
    assert results.best is not None
    printed = command("export", "tiny", *finished.storage, "--format", format_)
    path = tmp_path / f"best.{format_}"
    written = command("export", "tiny", *finished.storage, "--output", str(path))
    assert (printed.code, printed.err, written.code, written.err) == (0, "", 0, "")
    assert f"mnist-tune train {path}" in written.out
    assert path.read_text(encoding="utf-8") == printed.out
    configuration = load_configuration(path)
    assert configuration.training.model_dump() == {
        **TrainingConfig().model_dump(),
        **results.best.parameters,
        "epochs": 2,
        "seed": 0,
        "precision": "fp32",
    }
    assert configuration.data == results.spec.data
    assert configuration.origin["study"] == "tiny"
    assert configuration.origin["trial"] == results.best.first.number
    assert configuration.origin["validation_accuracy"] == results.best.mean
    assert configuration.origin["storage"] == f"sqlite:///{finished.folder}/{STORED}"
    assert configuration.origin["environment"]["threads"] == 1


@pytest.mark.slow
def test_the_format_option_wins_over_the_suffix(
    tmp_path: Path, command: Command, finished: FinishedRun
) -> None:
    path = tmp_path / "best.txt"
    command("export", "tiny", *finished.storage, "--output", str(path), "--format", "json")
    assert json.loads(path.read_text(encoding="utf-8"))["origin"]["study"] == "tiny"


@pytest.mark.slow
def test_an_export_into_a_missing_folder_is_refused(
    tmp_path: Path, command: Command, finished: FinishedRun
) -> None:
    answer = command("export", "tiny", *finished.storage, "--output", "nowhere/best.toml")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("mnist-tune: nowhere/best.toml: cannot be written: ")
    assert files_in(tmp_path) == []
