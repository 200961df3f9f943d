"""A user's job whose seeds differ, which says when it reads its test data; and a finished study of it."""

from __future__ import annotations

import shutil
from pathlib import Path

from mnist_tune.results.reading import read_results
from mnist_tune.study.store import open_study
from tests.support.commands import Command
from tests.support.copied_folders import copy_folder
from tests.support.own_jobs import own_job
from tests.support.studies import open_file

NAME = "own"
"""The name of the study, of the job's file, and of the spec."""
VOUCHING = ("--job", "own.py:train")
EPOCH_SECONDS = "EPOCH_SECONDS"
"""Environment variable: how long each epoch but the first takes; 0 unless it is set."""
READ = "read"
"""The file beside the job in which each reading of the test data is a line: the seed of the model."""
JOB = """
import os, signal, time
from pathlib import Path

import torch
from safetensors.torch import load_file

from mnist_tune import Classes, DataOptions, Evaluation, Hyperparameters, Metric, SavedModel, Trial, job


class Settings(Hyperparameters):
    epochs: int = 3
    learning_rate: float = 0.1


class Data(DataOptions):
    held_back: int = 10


def evaluate(settings: Settings, model: SavedModel) -> Evaluation:
    with Path(__file__).with_name("read").open("a") as file:
        file.write(f"{settings.seed}\\n")
    if (kill := Path(__file__).with_name("kill")).exists():
        kill.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    weight = load_file(model.path / "model.safetensors")["weight"]
    error = settings.learning_rate + 0.1 * float(weight.mean().sigmoid())
    error = float("nan") if Path(__file__).with_name("broken").exists() else error
    matrix = [[90, 10], [5, 95]]
    classes = Classes(names=["no", "yes"], confusion_matrix=matrix)
    return Evaluation(metrics={"error": error, "loss": 2.0}, n_cases=200, cases="rows", classes=classes)


def all_data(data: Data) -> Data:
    return data.model_copy(update={"held_back": 0})


METRICS = {"validation_error": Metric(low=0.0, high=1.0), "loss": Metric()}


@job(objective="validation_error", direction="minimize", metrics=METRICS, data_options=Data, ARGUMENTS)
def train(settings: Settings, trial: Trial) -> None:
    model = torch.nn.Linear(3, 1)
    trial.keep(model=model)
    trial.note(held_back=trial.data.held_back)
    for epoch in trial.epochs():
        if epoch > 1:
            time.sleep(float(os.environ.get("EPOCH_SECONDS", "0")))
        with torch.no_grad():
            model.weight.mul_(0.5).add_(torch.rand(3))
        measured = {"validation_error": settings.learning_rate / epoch} if trial.data.held_back else {}
        trial.report(loss=model.weight.detach().sum().abs(), **measured)
    SAVES
"""
SPEC = """
[study]
name = "own"

[job]
file = "own.py:train"

[search.grid]
learning_rate = [0.5, 0.25]
seed = [0, 1]

[limits]
checkpoint_interval = 0

[lease]
heartbeat_interval = 0.5
grace_period = 4.0
"""
BOTH = "evaluate=evaluate, all_data=all_data"
SAVES = 'trial.save("model.safetensors", model)'
MADE: dict[tuple[str, str], Path] = {}
"""The folders of studies that are finished, by the arguments of their jobs and what these save."""


def searched(folder: Path, command: Command, arguments: str = BOTH, saves: str = SAVES) -> None:
    """A study of four cells that is finished; 0.25 is its best. It is run once, and then copied."""
    if (made := MADE.get((arguments, saves))) is None:
        job = JOB.replace("ARGUMENTS", arguments).replace("SAVES", saves)
        own_job(folder, job, SPEC, NAME)
        ran = command("run", "own.toml", "--workers", "1")
        assert ran.code == 0, ran.err
        made = folder.with_name(f"{folder.name}-made")
        copy_folder(folder, made)
        MADE[arguments, saves] = made
    else:
        shutil.copytree(made, folder, dirs_exist_ok=True)


def choice(folder: Path) -> int:
    """The number of the trial that the study has chosen; cells run in any order."""
    best = read_results(open_study(open_file(folder), NAME)).best
    assert best is not None
    return best.first.number


def readings(folder: Path) -> list[int]:
    """The seeds of the models that were measured on test data, in the order of the measurements."""
    file = folder / READ
    return [int(line) for line in file.read_text("utf-8").split()] if file.exists() else []
