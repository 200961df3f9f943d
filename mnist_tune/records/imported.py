"""Trials whose results were obtained elsewhere: samplers learn from them, and nothing else counts them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from mnist_tune.records.values import Origin
from mnist_tune.storage.keys import CELL, IMPORTED


@dataclass(frozen=True)
class ImportedTrial:
    """A result that was obtained elsewhere, as a complete trial of no cell."""

    number: int
    parameters: dict[str, Any]
    value: float
    origin: Origin

    def as_json(self) -> dict[str, Any]:
        """The result as plain data for JSON."""
        return {
            "number": self.number,
            "parameters": self.parameters,
            "value": self.value,
            "source": self.origin.source,
            "when": self.origin.when,
        }


def is_imported(trial: FrozenTrial) -> bool:
    """Whether the trial, given as Optuna's object, is a result that was obtained elsewhere."""
    if IMPORTED not in trial.system_attrs or CELL in trial.system_attrs:
        return False
    values = trial.values or []
    return trial.state is TrialState.COMPLETE and len(values) == 1 and math.isfinite(values[0])
