"""One trial of a study as typed values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from optuna.trial import TrialState

from mnist_tune.jobs.metrics import EpochMetrics


@dataclass(frozen=True)
class StoredTrial:
    """An attempt at a cell as far as it can be read; each of `problems` says of what it cannot, and why."""

    trial_id: int
    number: int
    cell: int
    state: TrialState
    started: datetime | None = None
    ended: datetime | None = None
    value: float | None = None
    """Percent; of a complete trial."""
    parameters: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    """Those that it has, typed, by key."""
    history: list[EpochMetrics] = field(default_factory=list)
    """Its epochs, also those that an earlier attempt has done."""
    files: dict[str, str] = field(default_factory=dict)
    """The artifact ids of what was kept of it, by file name."""
    problems: tuple[str, ...] = ()
    is_sound: bool = True
    """Whether it is known what was run and, of a complete one, what came of it."""
    is_trained: bool = True
    """Of a finished one: whether a worker ended it, and no other program."""
    is_explained: bool = True
    """Of a failed one: whether it says why, as a worker does."""

    @property
    def has_failed(self) -> bool:
        """Whether its cell is to be tried again, or is missing."""
        return self.state is TrialState.FAIL or not self.is_trained
