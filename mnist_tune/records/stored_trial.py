"""One trial of a study as typed values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from optuna.trial import TrialState

from mnist_tune.jobs.metrics import EpochMetrics


@dataclass(frozen=True)
class StoredTrial:
    """An attempt at a cell as far as it can be read; `problems` says what cannot be read, and why."""

    trial_id: int
    number: int
    cell: int
    state: TrialState
    started: datetime | None = None
    ended: datetime | None = None
    value: float | None = None
    """The objective; only complete trials have one."""
    parameters: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    """The trial's readable attributes, typed, by key."""
    history: list[EpochMetrics] = field(default_factory=list)
    """The trial's epochs, also those that an earlier attempt has done."""
    files: dict[str, str] = field(default_factory=dict)
    """The artifact ids of the trial's files, by file name."""
    problems: tuple[str, ...] = ()
    is_sound: bool = True
    """Whether its parameters are known and, if the trial is complete, its result too."""
    is_trained: bool = True
    """Whether a worker ended the trial; False only for finished trials that another program ended."""
    is_explained: bool = True
    """Whether a reason is stored; False only for failed trials without one."""

    @property
    def has_failed(self) -> bool:
        """Whether the attempt leaves its cell without a result."""
        return self.state is TrialState.FAIL or not self.is_trained
