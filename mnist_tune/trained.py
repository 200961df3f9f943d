"""Whether a finished trial is one that a worker of ours has trained: said here, and nowhere else.

Whatever opens the storage can end a trial: stock Optuna's `tell` and `optimize`, a dashboard. A worker that
ends one leaves the value as its `RESULT`, in the same transaction. Version 0.5.0 left none: there the value
is known by the accuracy after the last epoch.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from mnist_tune.attributes import CLAIM, HISTORY, METRIC, RESULT
from mnist_tune.failures import Failure

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
"""The states that finish a cell."""
UNTRAINED = Failure("lost", "another program than a worker ended it, and nothing was trained")
"""Of a trial that is finished and was not trained."""
UNEXPLAINED = Failure("lost", "another program than a worker ended it as failed")
"""Of a failed trial that does not say why."""


def is_result(values: list[Any], keys: Collection[str], last_accuracy: float | None) -> bool:
    """Whether a worker has left what a finished trial of these values and system attributes ended with.

    `last_accuracy` is that after its last epoch, if it has any.
    """
    return CLAIM in keys and (RESULT in keys or values == [last_accuracy])


def was_trained(trial: FrozenTrial) -> bool:
    """The same of Optuna's own object, whose attributes may be anything."""
    return trial.state in FINISHED and is_result(
        trial.values or [], trial.system_attrs, _last_accuracy(trial)
    )


def has_its_result(trial: FrozenTrial) -> bool:
    """Whether its value, too, is the one that the worker left."""
    result = trial.system_attrs.get(RESULT, _last_accuracy(trial))
    return was_trained(trial) and trial.values == [result]


def _last_accuracy(trial: FrozenTrial) -> float | None:
    history = trial.user_attrs.get(HISTORY)
    last = history[-1] if isinstance(history, list) and history else None
    return last.get(METRIC) if isinstance(last, dict) else None
