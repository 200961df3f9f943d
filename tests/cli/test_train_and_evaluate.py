"""`train` and `evaluate`: from a configuration to a model that is measured."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest

from mnist_tune.results.exports import load_configuration
from tests.support.commands import Command, finish, start_command
from tests.support.finished_run import FinishedRun
from tests.support.small_data import CONFIGURATION
from tests.support.specs import write_spec


@pytest.mark.slow
def test_a_study_ends_in_a_model_that_is_measured_on_the_test_images(
    tmp_path: Path, command: Command, finished: FinishedRun
) -> None:
    command("export", "tiny", *finished.storage, "--output", "best.toml")
    trained = command("train", "best.toml", "--split", "--output", "out", "--seed", "5")
    assert (trained.code, trained.err) == (0, "")
    assert len(trained.out.splitlines()) == 3
    assert "mnist-tune evaluate out" in trained.out
    assert load_configuration(tmp_path / "out" / "config.toml").training.seed == 5
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))
    assert (metrics["images"], len(metrics["history"])) == (200, 2)

    content = (tmp_path / "out" / "model.safetensors").read_bytes()
    again = command("train", "best.toml", "--split", "--output", "out")
    assert (again.code, again.out) == (2, "")
    assert again.err == (
        "mnist-tune: out: is not empty, and nothing is overwritten; name another with --output\n"
    )
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == content

    answer = command("evaluate", "out", "--json")
    assert (answer.code, answer.err) == (0, "")
    measured = answer.json
    assert measured["n_cases"] == 10_000
    matrix, accuracy = measured["classes"]["confusion_matrix"], measured["metrics"]["accuracy"]
    assert len(measured["classes"]["accuracies"]) == len(matrix) == 10
    assert {len(row) for row in matrix} == {10}
    assert sum(map(sum, matrix)) == 10_000
    right = sum(matrix[digit][digit] for digit in range(10))
    assert accuracy == pytest.approx(right / 100)
    said = command("evaluate", "out").out
    assert f"test accuracy {accuracy:.2f} % on 10,000 images" in said


@pytest.mark.slow
def test_the_same_config_and_seed_give_the_same_model(tmp_path: Path, command: Command) -> None:
    write_spec(tmp_path, CONFIGURATION, "config.toml")
    for folder, seed in (("one", "1"), ("same", "1"), ("other", "2")):
        assert command("train", "config.toml", "--split", "--seed", seed, "--output", folder).code == 0
    one, same, other = (
        (tmp_path / folder / "model.safetensors").read_bytes() for folder in ("one", "same", "other")
    )
    assert one == same
    assert one != other


def test_without_output_the_folder_is_named_after_config_and_seed(tmp_path: Path, command: Command) -> None:
    write_spec(tmp_path, CONFIGURATION, "config.toml")
    assert command("train", "config.toml", "--split", "--seed", "3").code == 0
    assert (tmp_path / "models" / "config-seed-3" / "model.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_training_that_is_stopped_exits_with_3_and_saves_no_model(
    tmp_path: Path, number: signal.Signals
) -> None:
    write_spec(tmp_path, CONFIGURATION.replace("epochs = 1", "epochs = 1000"), "config.toml")
    (tmp_path / "mine").mkdir()
    for output in ("made/for/it", "mine"):
        training = start_command("train", "config.toml", "--split", "--output", output, folder=tmp_path)
        assert training.stdout is not None
        assert training.stdout.readline().startswith("epoch 1/1000: ")
        training.send_signal(number)
        answer = finish(training)
        assert answer.returncode == 3
        said = (
            r"stopped before the last epoch; no model was saved; the same command goes on after epoch \d+\n"
        )
        assert re.fullmatch(said, answer.stderr)
        # What it goes on from is all that there is.
        assert [path.name for path in (tmp_path / output).iterdir()] == [".unfinished"]
        assert len(list((tmp_path / output / ".unfinished").iterdir())) == 2


def test_an_exported_configuration_trains_to_its_trials_own_numbers(
    tmp_path: Path, command: Command, finished: FinishedRun
) -> None:
    command("export", "tiny", *finished.storage, "--output", "best.toml")
    assert command("train", "best.toml", "--split", "--output", "again").code == 0
    status = json.loads(finished.run.stdout)
    (best,) = [trial for trial in status["trials"] if trial["number"] == status["best"]["trial"]]
    again = json.loads((tmp_path / "again" / "metrics.json").read_text(encoding="utf-8"))["history"]
    measured = ("epoch", "training_loss", "validation_loss", "validation_accuracy")
    for theirs, ours in zip(best["history"], again, strict=True):
        assert [ours[key] for key in measured] == [theirs[key] for key in measured]


@pytest.mark.slow
def test_a_file_beside_a_configuration_of_something_else_is_just_a_model(
    tmp_path: Path, command: Command
) -> None:
    write_spec(tmp_path, CONFIGURATION, "config.toml")
    assert command("train", "config.toml", "--split", "--output", "out").code == 0
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.toml").write_text("[tool]\nname = 1\n", encoding="utf-8")
    (other / "mine.safetensors").write_bytes((tmp_path / "out" / "model.safetensors").read_bytes())
    answer = command("evaluate", "other/mine.safetensors")
    assert (answer.code, answer.err) == (0, "")
    assert "kept in" not in answer.out
    assert "test accuracy" in answer.out
    assert "kept in out/evaluation.json" in command("evaluate", "out/model.safetensors").out
