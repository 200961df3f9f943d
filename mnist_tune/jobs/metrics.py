"""The results of an epoch of training, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mnist_tune.jobs.description import JobDescription
from mnist_tune.jobs.metric import SECONDS, words


@dataclass(frozen=True, slots=True)
class EpochMetrics:
    """The numbers of one epoch by name, counted from 1.

    They are the metrics that the job has reported; the `seconds` of wall-clock that the epoch took with its
    validation; and, for a job that counts rows, `rows_per_second` in that time. Stock Optuna copies only the
    objective of a trial's epochs: in such a copy there is nothing else.
    """

    epoch: int
    numbers: Mapping[str, float | None]

    def __getitem__(self, name: str) -> float | None:
        """The number of this name, None if the epoch has none."""
        return self.numbers.get(name)

    @property
    def seconds(self) -> float | None:
        """How long the epoch took."""
        return self[SECONDS]

    def as_json(self) -> dict[str, Any]:
        """The epoch as plain data."""
        return {"epoch": self.epoch, **self.numbers}

    def line(self, epochs: int, job: JobDescription) -> str:
        """The epoch in words, for a log."""
        found = ((name, self[name]) for name in job.shown(self.numbers))
        parts = [
            f"{words(name)} {job.metric(name).text(value)}" for name, value in found if value is not None
        ]
        if job.rate is not None and self[job.rate] is not None:
            parts.append(job.speed(self[job.rate]))
        return f"epoch {self.epoch}/{epochs}: {', '.join(parts)}"


def epoch_from(content: Mapping[str, Any]) -> EpochMetrics:
    """The epoch in plain data, as `as_json` writes it. Raises KeyError."""
    numbers = dict(content)
    return EpochMetrics(numbers.pop("epoch"), numbers)


def unfinished(done: int, epochs: int) -> str | None:
    """What is wrong with a training that has ended after so many of its epochs; None if it had all."""
    if done == epochs:
        return None
    return f"the training ended {f'after epoch {done} of {epochs}' if done else 'before its first epoch'}"
