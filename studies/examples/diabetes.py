"""A regression on scikit-learn's diabetes data: 442 patients, ten measurements each."""

import functools
from typing import Annotated

import torch
from pydantic import Field
from sklearn.datasets import load_diabetes
from torch import Tensor, nn

from mnist_tune import Hyperparameters, Trial, job


class Settings(Hyperparameters):
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    width: Annotated[int, Field(ge=1)] = 64
    batch_size: Annotated[int, Field(ge=1)] = 32


@functools.cache  # once in each process
def data() -> tuple[Tensor, Tensor]:
    x, y = (torch.tensor(part, dtype=torch.float32) for part in load_diabetes(return_X_y=True))
    return x / x.std(0), (y - y.mean()) / y.std()


@job(objective="validation_error", direction="minimize", unit="rows")
def train(settings: Settings, trial: Trial) -> None:
    x, y = (part.to(trial.device) for part in data())
    model = nn.Sequential(
        nn.Linear(10, settings.width), nn.ReLU(), nn.Linear(settings.width, 1), nn.Flatten(0)
    )
    model.to(trial.device)
    optimizer = torch.optim.AdamW(model.parameters(), settings.learning_rate)
    trial.keep(model=model, optimizer=optimizer)
    for _ in trial.epochs():
        total = 0.0
        for rows in torch.randperm(352).split(settings.batch_size):
            trial.check()
            loss = nn.functional.mse_loss(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        with torch.inference_mode():
            error = nn.functional.mse_loss(model(x[352:]), y[352:])
        trial.report(rows=352, training_error=total / 352, validation_error=error)
    trial.save("model.safetensors", model)
