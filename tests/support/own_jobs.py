"""Jobs of users, as files beside a spec."""

from __future__ import annotations

from pathlib import Path

FIT = '''
import os, signal
from pathlib import Path
import random
import torch
from mnist_tune import Hyperparameters, Trial, job

class Settings(Hyperparameters):
    learning_rate: float = 0.1

def die_once(at: str) -> None:
    """Be killed here the first time, if the file `kill` is there."""
    here = Path(__file__).parent
    if (here / "kill").exists() and not (here / at).exists():
        (here / at).touch()
        os.kill(os.getpid(), signal.SIGKILL)

@job(objective="error", direction="minimize", unit="rows")
def train(settings: Settings, trial: Trial) -> None:
    model = torch.nn.Linear(3, 1)
    optimizer = torch.optim.Adam(model.parameters(), settings.learning_rate)
    trial.keep(model=model, optimizer=optimizer)
    for epoch in trial.epochs():
        x = torch.randn(50, 3)
        loss = torch.nn.functional.mse_loss(model(x)[:, 0], x @ torch.tensor([1.0, 2.0, 3.0]))
        optimizer.zero_grad()
        loss.backward()
        die_once(f"{settings.learning_rate}-{epoch}-within")
        optimizer.step()
        trial.report(rows=50, error=loss, luck=random.random())
        die_once(f"{settings.learning_rate}-{epoch}-after")
    trial.save("model.safetensors", model)
'''
"""Fits a line, with random numbers of torch and Python in each epoch."""
FIT_SPEC = """
[study]
name = "fit"

[job]
file = "fit.py:train"

[search.grid]
learning_rate = [0.1, 0.01]

[training]
epochs = 3

[limits]
checkpoint_interval = 0

[retry]
lost = -1
"""


def with_line(line: str) -> str:
    """The job with one line more at the beginning of each epoch."""
    loop = "    for epoch in trial.epochs():\n"
    assert loop in FIT
    return FIT.replace(loop, f"{loop}        {line}\n")


def own_job(folder: Path, job: str = FIT, spec: str = FIT_SPEC, name: str = "fit") -> Path:
    """Write a job and its spec into a folder; returns the spec's path."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(job, encoding="utf-8")
    path = folder / f"{name}.toml"
    path.write_text(spec, encoding="utf-8")
    return path
