"""One trial of a study, as a frozen row: an attempt at a cell, and what came of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from mnist_tune.jobs.metrics import EpochMetrics


class State(StrEnum):
    """What a trial is, in the words of every command; a failed one may be tried again."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"


@dataclass(frozen=True)
class TrialResult:
    """One trial: an attempt at a cell. Times are in UTC; accuracies in percent."""

    number: int
    cell: int
    attempt: int
    state: State
    parameters: dict[str, Any]
    value: float | None
    history: list[EpochMetrics]
    worker: str | None
    environment: dict[str, Any]
    resumed: dict[str, Any] | None
    """The epoch it went on from, whose metrics stand in its history too, or why it began anew."""
    failure: dict[str, str] | None
    started: datetime | None
    ended: datetime | None
    stale: bool
    artifacts: dict[str, str] = field(default_factory=dict)
    """The files that were kept of it: Optuna's artifact ids by file name."""
    reused: dict[str, Any] | None = None
    """The study and the trial it was taken over from, which is where and when it ran."""
    log: str | None = None
    """What its worker said, as the storage has it."""
    not_kept: dict[str, str] = field(default_factory=dict)
    """Why its `weights`, or its last `state` to go on from, could not be written."""
    problems: tuple[str, ...] = ()
    """What of it is stored and cannot be read, and why."""
    is_sound: bool = True
    """Whether it is known what was run and, of a complete one, what came of it."""
    comes_back: bool = False
    """Of one that another program has ended as failed: any worker puts its cell back."""

    @property
    def accuracy(self) -> float:
        """Its value, the validation accuracy that it ended with. Raises ValueError where it has none."""
        if self.value is None:
            raise ValueError(f"trial {self.number} has no value")
        return self.value

    @property
    def accuracies(self) -> list[float]:
        """The validation accuracies after its epochs, of those that have one."""
        found = (epoch.validation_accuracy for epoch in self.history)
        return [accuracy for accuracy in found if accuracy is not None]

    def as_json(self) -> dict[str, Any]:
        """Plain data without the log; times in ISO 8601, in UTC."""
        plain = asdict(self)
        del plain["log"], plain["is_sound"], plain["comes_back"]
        times = {key: getattr(self, key) for key in ("started", "ended")}
        return plain | {key: time and time.isoformat() for key, time in times.items()}
