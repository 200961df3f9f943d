"""One trial of a study as a frozen row: an attempt at a cell, and its result."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from mnist_tune.failures import EXTENDED
from mnist_tune.jobs.evaluation import Evaluation
from mnist_tune.jobs.metrics import EpochMetrics


class State(StrEnum):
    """The state of a trial in the words of every command; the cell of a failed one may be tried again."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"


@dataclass(frozen=True)
class TrialResult:
    """One trial: an attempt at a cell. Times are in UTC."""

    number: int
    cell: int
    attempt: int
    state: State
    parameters: dict[str, Any]
    value: float | None
    """The objective's value with which it ended."""
    history: list[EpochMetrics]
    worker: str | None
    environment: dict[str, Any]
    resumed: dict[str, Any] | None
    """The epoch from which it went on, or why it began anew; `history` has the earlier epochs too."""
    failure: dict[str, str] | None
    started: datetime | None
    ended: datetime | None
    stale: bool
    artifacts: dict[str, str] = field(default_factory=dict)
    """Optuna's artifact ids of the files that were kept, by file name."""
    reused: dict[str, Any] | None = None
    """The study and trial from which the result was taken over; worker and times are that trial's."""
    log: str | None = None
    """The worker's log, as the storage has it."""
    not_kept: dict[str, str] = field(default_factory=dict)
    """Why its `weights`, or its last `state` to go on from, could not be written."""
    problems: tuple[str, ...] = ()
    """What is stored of the trial and cannot be read, and why."""
    is_sound: bool = True
    """Whether its parameters are known and, if it is complete, its result too."""
    evaluation: Evaluation | None = None
    """Of a complete trial of a confirmation: its model's results on test data, without pictures."""
    objective: str = ""
    """The name of the metric by which trials are compared."""
    comes_back: bool = False
    """Whether another program ended it as failed, so that any worker will put its cell back."""

    @property
    def was_extended(self) -> bool:
        """Whether it was complete until the study was given more epochs, for which its cell goes on."""
        return self.failure is not None and self.failure["class"] == EXTENDED

    @property
    def has_failed(self) -> bool:
        """Whether it ended by a failure. One that was extended is stored as failed, and was complete."""
        return self.failure is not None and not self.was_extended

    @property
    def final_value(self) -> float:
        """The value with which the trial ended. Raises ValueError if it has none."""
        if self.value is None:
            raise ValueError(f"trial {self.number} has no value")
        return self.value

    @property
    def objective_values(self) -> list[float]:
        """The objective's values after its epochs, without epochs that have none."""
        found = (epoch[self.objective] for epoch in self.history)
        return [value for value in found if value is not None]

    def as_json(self) -> dict[str, Any]:
        """The trial as plain data without the log; times are in ISO 8601, in UTC."""
        plain = asdict(self)
        del plain["log"], plain["is_sound"], plain["comes_back"], plain["objective"]
        plain["evaluation"] = self.evaluation and self.evaluation.as_json()
        plain["history"] = [epoch.as_json() for epoch in self.history]
        times = {key: getattr(self, key) for key in ("started", "ended")}
        return plain | {key: time and time.isoformat() for key, time in times.items()}
