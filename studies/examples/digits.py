"""A small transformer that reads scikit-learn's digits: each image is a sequence of 8 rows of 8 pixels."""

import functools
from typing import Annotated, Literal

import torch
from pydantic import Field
from safetensors.torch import load_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from mnist_tune import (
    Binomial,
    Classes,
    Evaluation,
    GreyImage,
    Hyperparameters,
    Metric,
    Mistake,
    SavedModel,
    Trial,
    job,
)

VALIDATION, TEST = 360, 360
PERCENT = Metric(unit="%", digits=2, low=0, high=100)


class Settings(Hyperparameters):
    learning_rate: Annotated[float, Field(gt=0)] = 3e-3
    width: Literal[16, 32, 64] = 32
    layers: Annotated[int, Field(ge=1)] = 2
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    batch_size: Annotated[int, Field(ge=1)] = 64


class Reader(nn.Module):
    def __init__(self, settings: Settings) -> None:
        super().__init__()
        width = settings.width
        self.embedding = nn.Linear(8, width)
        self.positions = nn.Parameter(torch.randn(8, width) / 10)
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, settings.dropout, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, settings.layers)
        self.classes = nn.Linear(width, 10)

    def forward(self, rows: Tensor) -> Tensor:
        return self.classes(self.encoder(self.embedding(rows) + self.positions).mean(1))


@functools.cache  # once in each process
def data() -> tuple[tuple[Tensor, Tensor], ...]:
    """Images with their classes: for training, for validation and for the test, the same for every trial."""
    digits = load_digits()
    x, y = torch.tensor(digits.images / 16, dtype=torch.float32), torch.tensor(digits.target)
    x, test_x, y, test_y = train_test_split(x, y, test_size=TEST, random_state=0, stratify=y)
    x, validation_x, y, validation_y = train_test_split(
        x, y, test_size=VALIDATION, random_state=0, stratify=y
    )
    return (x, y), (validation_x, validation_y), (test_x, test_y)


def evaluate(settings: Settings, saved: SavedModel) -> Evaluation:
    """Measure a model on the test images, which no trial has seen."""
    model = Reader(settings)
    model.load_state_dict(load_file(saved.path / "model.safetensors"))
    model.to(saved.device).eval()
    x, y = (part.to(saved.device) for part in data()[2])
    with torch.inference_mode():
        shares = model(x).softmax(1)
    confidence, answers = shares.max(1)
    counts = torch.zeros(10, 10, dtype=torch.int64, device=x.device)
    counts.index_put_((y, answers), torch.ones_like(y), accumulate=True)
    return Evaluation(
        metrics={"accuracy": 100 * (answers == y).float().mean()},
        n_cases=TEST,
        cases="images",
        classes=Classes(
            names=list("0123456789"), one="digit", many="digits", confusion_matrix=counts.tolist()
        ),
        mistakes=[
            Mistake(
                index=i,
                label=y[i],
                predicted=answers[i],
                confidence=100 * confidence[i],
                image=GreyImage(width=8, pixels=bytes((255 * x[i]).byte().flatten().tolist())),
            )
            for i in (answers != y).nonzero().flatten().tolist()
        ],
    )


@job(
    objective="accuracy",
    direction="maximize",
    unit="images",
    metrics={"loss": Metric(), "accuracy": PERCENT},
    noise=Binomial(of=VALIDATION, cases="images"),  # says what a difference between two trials is worth
    evaluate=evaluate,
)
def train(settings: Settings, trial: Trial) -> None:
    (x, y), (validation_x, validation_y), _ = data()
    x, y = x.to(trial.device), y.to(trial.device)
    validation_x, validation_y = validation_x.to(trial.device), validation_y.to(trial.device)
    model = Reader(settings).to(trial.device)
    optimizer = torch.optim.AdamW(model.parameters(), settings.learning_rate)
    steps = settings.epochs * -(-len(x) // settings.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=steps)
    trial.keep(model=model, optimizer=optimizer, schedule=schedule)
    for _ in trial.epochs():
        model.train()
        total = 0.0
        for chosen in torch.randperm(len(x)).split(settings.batch_size):
            trial.check()
            loss = nn.functional.cross_entropy(model(x[chosen]), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(chosen)
        model.eval()
        with torch.inference_mode():
            right = (model(validation_x).argmax(1) == validation_y).float().mean()
        trial.report(images=len(x), loss=total / len(x), accuracy=100 * right)
    trial.save("model.safetensors", model)
