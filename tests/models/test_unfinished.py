"""`train` goes on where it was stopped or killed, with the bits of a training that was not."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.support.commands import BY_EXEC, Command, finish, start_command
from tests.support.confirmed_jobs import EPOCH_SECONDS, VOUCHING, searched

TRAIN = ("train", "best.toml", *VOUCHING, "--output", "out")


def stopped_after_an_epoch(folder: Path, number: signal.Signals, *options: str) -> str:
    """Stop a training in its second epoch; returns what it says then."""
    slow = {**BY_EXEC, EPOCH_SECONDS: "3"}
    training = start_command(*TRAIN, *options, folder=folder, environment=slow)
    assert training.stdout is not None
    assert training.stdout.readline().startswith("epoch 1/3: ")
    training.send_signal(number)
    answer = finish(training)
    assert answer.returncode == (-number if number == signal.SIGKILL else 3)
    return answer.stderr


def exported(folder: Path, command: Command) -> None:
    searched(folder, command)
    assert command("export", "own", "--output", "best.toml").code == 0


def history(folder: Path) -> list[dict[str, float]]:
    """The epochs of a model's training, without times."""
    stored = json.loads((folder / "metrics.json").read_text("utf-8"))["history"]
    return [{name: epoch[name] for name in epoch if name != "seconds"} for epoch in stored]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_same_command_goes_on_to_the_same_model(
    tmp_path: Path, command: Command, number: signal.Signals
) -> None:
    exported(tmp_path, command)
    said = stopped_after_an_epoch(tmp_path, number)
    if number != signal.SIGKILL:
        assert said == (
            "stopped before the last epoch; no model was saved; the same command goes on after epoch 1\n"
        )
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".unfinished"]
    again = command(*TRAIN)
    assert (again.code, again.err) == (0, "")
    assert again.out.startswith("goes on after epoch 1\nepoch 2/3: ")
    assert not (tmp_path / "out" / ".unfinished").exists()
    assert command(*TRAIN[:-1], "undisturbed").code == 0
    models = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("out", "undisturbed")]
    assert models[0] == models[1]
    assert history(tmp_path / "out") == history(tmp_path / "undisturbed")
    assert [epoch["epoch"] for epoch in history(tmp_path / "out")] == [1, 2, 3]
    full = command(*TRAIN)
    assert (full.code, full.out) == (2, "")
    assert (
        full.err == "mnist-tune: out: is not empty, and nothing is overwritten; name another with --output\n"
    )


@pytest.mark.slow
def test_another_training_does_not_go_on_there(tmp_path: Path, command: Command) -> None:
    exported(tmp_path, command)
    stopped_after_an_epoch(tmp_path, signal.SIGINT)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out" / ".unfinished").iterdir()}
    for option in (("--seed", "7"), ("--split",)):
        refused = command(*TRAIN, *option)
        assert (refused.code, refused.out) == (2, "")
        assert refused.err == (
            "mnist-tune: out: has an unfinished training of another configuration, seed, data or job; name "
            "another with --output, or delete out/.unfinished\n"
        )
    assert {path.name: path.read_bytes() for path in (tmp_path / "out" / ".unfinished").iterdir()} == before


@pytest.mark.slow
def test_a_damaged_state_is_not_used_and_a_damaged_pointer_is_named(tmp_path: Path, command: Command) -> None:
    exported(tmp_path, command)
    stopped_after_an_epoch(tmp_path, signal.SIGKILL)
    hidden = tmp_path / "out" / ".unfinished"
    pointer = (hidden / "training.json").read_text("utf-8")
    for damaged in ("{", "[]", '{"training": 1}', pointer.replace('"epoch": 1', '"epoch": "1"')):
        (hidden / "training.json").write_text(damaged, encoding="utf-8")
        refused = command(*TRAIN)
        assert (refused.code, refused.out) == (2, "")
        assert refused.err == (
            "mnist-tune: out/.unfinished/training.json: cannot be read; name another with --output, or "
            "delete out/.unfinished\n"
        )
    away = pointer.replace(json.loads(pointer)["state"]["key"], "../../best.toml")
    (hidden / "training.json").write_text(away, encoding="utf-8")
    answer = command(*TRAIN)
    assert answer.code == 0
    assert answer.out.startswith("begins at the first epoch: the key of a checkpoint is '../../best.toml'")
    assert (tmp_path / "best.toml").exists(), "nothing that a file names is deleted"


@pytest.mark.slow
def test_a_state_that_was_changed_is_told_and_the_training_begins_anew(
    tmp_path: Path, command: Command
) -> None:
    exported(tmp_path, command)
    stopped_after_an_epoch(tmp_path, signal.SIGKILL)
    (state,) = (tmp_path / "out" / ".unfinished").glob("*.pt")
    state.write_bytes(state.read_bytes()[:-1])
    answer = command(*TRAIN)
    assert answer.code == 0
    assert answer.out.startswith(f"begins at the first epoch: the checkpoint {state.name} is damaged: ")
    assert [epoch["epoch"] for epoch in history(tmp_path / "out")] == [1, 2, 3]
    assert not (tmp_path / "out" / ".unfinished").exists()
