"""A user's job that measures its own models, and a finished study of it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.commands import Command
from tests.support.copied_folders import copy_folder
from tests.support.own_jobs import own_job

JOB = """
import time
from typing import Any

import torch
from safetensors.torch import load_file

from mnist_tune import DataOptions, Evaluation, Hyperparameters, SavedModel, Trial, job


class Settings(Hyperparameters):
    epochs: int = 2
    learning_rate: float = 0.1


class Data(DataOptions):
    held_back: int = 10


def evaluate(settings: Settings, model: SavedModel) -> dict[str, float]:
    print("measuring", flush=True)
    if "slow" in str(model.path):
        time.sleep(600)
    weights = load_file(model.path / "model.safetensors")
    assert model.data is not None
    return {"error": float(weights["weight"].sum()), "held_back": model.data.held_back}


def all_data(data: Data) -> Data:
    return data.model_copy(update={"held_back": 0})


@job(objective="validation_error", direction="minimize", unit="rows", data_options=Data, ARGUMENTS)
def train(settings: Settings, trial: Trial) -> None:
    model = torch.nn.Linear(1, 1)
    model.weight.data.fill_(settings.learning_rate)
    trial.keep(model=model)
    trial.log(f"held back: {trial.data.held_back}")
    for epoch in trial.epochs():
        measured = {"validation_error": settings.learning_rate / epoch} if trial.data.held_back else {}
        trial.report(rows=100 - trial.data.held_back, loss=1.0, **measured)
    trial.save("model.safetensors", model)
"""
SPEC = """
[study]
name = "own"

[job]
file = "own.py:train"

[search.grid]
learning_rate = [0.5, 0.25]
"""
BOTH = "evaluate=evaluate, all_data=all_data"
VOUCHING = ("--job", "own.py:train")


MADE: dict[str, Path] = {}
"""The folders of studies that are finished, by the arguments of their jobs."""


def finished_study(folder: Path, command: Command, arguments: str = BOTH) -> None:
    """A study of two cells that is finished; 0.25 is its best. It is run once, and then copied."""
    if arguments not in MADE:
        own_job(folder, JOB.replace("ARGUMENTS", arguments), SPEC, "own")
        ran = command("run", "own.toml", "--workers", "1")
        assert ran.code == 0, ran.err
        made = folder.with_name(f"{folder.name}-made")
        copy_folder(folder, made)
        MADE[arguments] = made
    else:
        shutil.copytree(MADE[arguments], folder, dirs_exist_ok=True)
