"""The tasks and answers of the scripts in the training benchmark; each is one process without Optuna."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class Cell:
    """One configuration to train."""

    learning_rate: float
    batch_size: int
    optimizer: str
    seed: int


@dataclass(frozen=True)
class Task:
    """Cells for one process, which trains them one after the other."""

    cells: tuple[Cell, ...]
    epochs: int
    train_size: int
    validation_size: int
    device: str
    precision: str
    data: Path

    @classmethod
    def of_argument(cls) -> Self:
        """The task on this process's command line."""
        fields = json.loads(sys.argv[1])
        cells = tuple(Cell(**cell) for cell in fields.pop("cells"))
        return cls(cells=cells, data=Path(fields.pop("data")), **fields)

    def argument(self) -> str:
        """The task as an argument for a command line."""
        return json.dumps(asdict(self) | {"data": str(self.data)})


@dataclass(frozen=True)
class Trained:
    """A trained cell; its times are in seconds on a clock that all processes of its side share."""

    cell: Cell
    began: float
    first_epoch: float
    ended: float
    validation_accuracy: float


def wait_for_the_start() -> None:
    """Say that everything is loaded, and wait for the others, so that no rate includes loading."""
    print("ready", flush=True)
    sys.stdin.readline()


def answer(cell: Cell, began: float, first_epoch: float, validation_accuracy: float) -> None:
    """Print the answer about a cell whose training ends now. Times are of `time.monotonic`."""
    trained = Trained(cell, began, first_epoch, time.monotonic(), validation_accuracy)
    print(json.dumps(asdict(trained)), flush=True)


def trained_of(line: str) -> Trained:
    """Read an answer that a script has printed."""
    fields = json.loads(line)
    return Trained(cell=Cell(**fields.pop("cell")), **fields)
