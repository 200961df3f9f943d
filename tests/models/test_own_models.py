"""Models of users' own jobs: trained anew, taken out of a study, and measured."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from mnist_tune.models.unfinished import FOLDER
from tests.support.command_jobs import DECAY, DECAY_SPEC
from tests.support.commands import Command, finish, start_command
from tests.support.measured_jobs import VOUCHING, finished_study
from tests.support.own_jobs import own_job


def test_a_users_model_is_taken_out_of_the_study_and_measured(tmp_path: Path, command: Command) -> None:
    finished_study(tmp_path, command)
    said = command("export", "own", "--output", "best.toml", "--files", "models/best")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[-2:] == [
        "wrote best.toml; train it with: mnist-tune train best.toml --job own.py:train",
        "wrote model.safetensors to models/best; measure it with: mnist-tune evaluate models/best --job "
        "own.py:train",
    ]
    names = {path.name for path in (tmp_path / "models" / "best").iterdir()}
    assert names == {"config.toml", "metrics.json", "model.safetensors"}
    metrics = json.loads((tmp_path / "models" / "best" / "metrics.json").read_text("utf-8"))
    assert (metrics["rows"], len(metrics["history"])) == (90, 2)
    refused = command("evaluate", "models/best")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.endswith("if you trust it: --job PATH/own.py:train\n")
    measured = command("evaluate", "models/best", *VOUCHING)
    assert (measured.code, measured.err) == (0, "")
    assert "test error 0.2500, held back 10.0000\n" in measured.out
    told = command("evaluate", "models/best", *VOUCHING, "--json")
    assert told.err == "measuring\n", "what the job prints stays out of the document"
    assert told.json["metrics"] == {"error": 0.25, "held_back": 10.0}
    made = command("report", "own", "--model", "models/best")
    assert (made.code, made.err) == (0, "")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "test error, one seed" in page
    assert "Trained on 90 rows." in page


def test_a_users_best_configuration_is_trained_on_all_data(tmp_path: Path, command: Command) -> None:
    finished_study(tmp_path, command)
    command("export", "own", "--output", "best.toml")
    said = command("train", "best.toml", *VOUCHING, "--output", "all", "--seed", "3")
    assert (said.code, said.err) == (0, "")
    *lines, last = said.out.splitlines()
    assert [line for line in lines if line.startswith("held back")] == ["held back: 0"]
    assert [line.rpartition(", ")[0] for line in lines if line.startswith("epoch")] == [
        "epoch 1/2: loss 1.0000",
        "epoch 2/2: loss 1.0000",
    ]
    assert last == "saved all/model.safetensors; measure it with: mnist-tune evaluate all --job own.py:train"
    metrics = json.loads((tmp_path / "all" / "metrics.json").read_text("utf-8"))
    assert metrics["rows"] == 100
    assert "validation_error" not in metrics["history"][0]
    assert command("train", "best.toml", *VOUCHING, "--output", "part", "--split").code == 0
    metrics = json.loads((tmp_path / "part" / "metrics.json").read_text("utf-8"))
    assert (metrics["rows"], metrics["history"][1]["validation_error"]) == (90, 0.125)


@pytest.mark.slow
def test_a_job_that_does_not_say_how_is_trained_as_in_the_search(tmp_path: Path, command: Command) -> None:
    finished_study(tmp_path, command, "evaluate=None")
    said = command("export", "own", "--output", "best.toml", "--files", "best")
    assert said.out.splitlines()[-1] == "wrote model.safetensors to best"
    refused = command("train", "best.toml", *VOUCHING, "--all-data")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        "mnist-tune: --all-data: the job does not say how (all_data in @job); leave it out\n"
    )
    trained = command("train", "best.toml", *VOUCHING, "--output", "again")
    assert trained.out.splitlines()[-1] == "saved again/model.safetensors"
    assert "validation error 0.1250" in trained.out
    refused = command("evaluate", "again", *VOUCHING)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        "mnist-tune: the job cannot measure a model; give it a function: @job(evaluate=...)\n"
    )
    refused = command("report", "own", "--model", "again")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == "mnist-tune: again: its job cannot measure a model (evaluate in @job)\n"


def test_an_error_in_the_jobs_evaluate_shows_its_own_traceback(tmp_path: Path, command: Command) -> None:
    finished_study(tmp_path, command)
    command("export", "own", "--files", "best")
    (tmp_path / "best" / "model.safetensors").write_bytes(b"no tensors")
    answer = command("evaluate", "best", *VOUCHING)
    assert (answer.code, answer.out) == (1, "measuring\n")
    first, second, *_ = answer.err.splitlines()
    assert first == "Traceback (most recent call last):"
    assert second.startswith(f'  File "{tmp_path}/own.py", line ')
    assert "SafetensorError" in answer.err


def test_a_command_is_trained_where_it_is_allowed(tmp_path: Path, command: Command) -> None:
    own_job(tmp_path, DECAY, DECAY_SPEC, "decay")
    assert command("run", "decay.toml", "--workers", "1").code == 0
    said = command("export", "decay", "--output", "best.toml")
    assert said.out.splitlines()[-1].endswith("mnist-tune train best.toml --allow-command FOLDER")
    refused = command("train", "best.toml")
    assert (refused.code, refused.out) == (2, "")
    assert "best.toml: the configuration's job is a command: python decay.py {args}" in refused.err
    trained = command("train", "best.toml", "--allow-command", ".", "--output", "out")
    assert (trained.code, trained.out.splitlines()[-1]) == (0, "saved out/model.txt")
    kept = json.loads((tmp_path / "out" / "metrics.json").read_text("utf-8"))["history"]
    assert float((tmp_path / "out" / "model.txt").read_text()) == pytest.approx(kept[-1]["error"])
    refused = command("evaluate", "out")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == "mnist-tune: out: its job is a command, which measures its models itself\n"


@pytest.mark.slow
def test_a_command_that_is_trained_is_stopped_by_sigterm(tmp_path: Path, command: Command) -> None:
    own_job(tmp_path, DECAY, DECAY_SPEC, "decay")
    assert command("run", "decay.toml", "--workers", "1").code == 0
    command("export", "decay", "--output", "best.toml")
    slow = {"PAUSE": "2"}
    words = "train", "best.toml", "--allow-command", ".", "--output", "out"
    training = start_command(*words, folder=tmp_path, environment=slow)
    assert training.stdout is not None
    assert training.stdout.readline().startswith("epoch 1/")
    training.send_signal(signal.SIGTERM)
    answer = finish(training)
    assert answer.returncode == 3
    assert "stopped before the last epoch; no model was saved" in answer.stderr
    # The state from which the same command goes on, if it was kept by then.
    assert {path.name for path in tmp_path.glob("out/*")} <= {FOLDER}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_measurement_is_stopped_at_once(tmp_path: Path, command: Command, number: signal.Signals) -> None:
    finished_study(tmp_path, command)
    command("export", "own", "--files", "slow")
    measuring = start_command("evaluate", "slow", *VOUCHING, folder=tmp_path)
    assert measuring.stdout is not None
    assert measuring.stdout.readline() == "measuring\n"
    measuring.send_signal(number)
    answer = finish(measuring)
    assert (answer.returncode, answer.stderr) == (3, "stopped; nothing was measured\n")
    assert not (tmp_path / "slow" / "evaluation.json").exists()
