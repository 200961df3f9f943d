"""A spec's [pruner] as Optuna's object, which decides for one trial at a time whether it ends early."""

from __future__ import annotations

import warnings
from typing import Any

from optuna.exceptions import ExperimentalWarning
from optuna.pruners import (
    BasePruner,
    MedianPruner,
    NopPruner,
    PatientPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
    ThresholdPruner,
)
from optuna.study import Study
from optuna.trial import FrozenTrial

from mnist_tune.contract.study import Decision
from mnist_tune.records.imported import is_imported
from mnist_tune.search.history import LearntFrom
from mnist_tune.spec.pruner_options import (
    Hyperband,
    Median,
    Patient,
    Percentile,
    Pruner,
    SuccessiveHalving,
    Threshold,
)
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.keys import CELL
from mnist_tune.storage.optuna_internals import reading_through
from mnist_tune.storage.optuna_sampling import BracketHyperbandPruner


def pruner(spec: Spec) -> BasePruner:
    """The study's pruner; without a [pruner] table, one that ends no trial."""
    table = spec.pruner
    if table is None:
        return NopPruner()
    inner = _inner(table, spec)
    if table.patience is None:
        assert inner is not None
        return inner
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # of no use to readers of a worker's log
        own = table.model_dump(include={"patience", "min_delta"}, exclude_none=True)
        return PatientPruner(inner, **own)


def _inner(table: Pruner, spec: Spec) -> BasePruner | None:
    own = table.model_dump(exclude={"name", "patience", "min_delta"}, exclude_none=True)
    match table:
        case Median():
            return MedianPruner(**own)
        case Percentile():
            return PercentilePruner(**own)
        case Threshold():
            return ThresholdPruner(**own)
        case SuccessiveHalving():
            return SuccessiveHalvingPruner(**own)
        case Hyperband():
            # A retry stays in its cell's bracket. The maximum is a number, not "auto", so that all workers
            # agree from the start.
            return BracketHyperbandPruner(spec.search.seed, CELL, max_resource=spec.most_epochs, **own)
        case Patient():
            return None
    raise AssertionError(f"{table} is no pruner")


class Judge:
    """Decides after each epoch whether a trial ends.

    One decision reads the running trials and those that have ended since the last decision.
    """

    def __init__(self, study: Study, seen: LearntFrom) -> None:
        self._study = study
        self._seen = seen

    def decide(self, trial_id: int) -> Decision:
        """Ask the study's pruner, which sees the trials as they are stored now."""
        notes = _DecisionStorage(self._seen)
        trial = notes.get_trial(trial_id)
        with reading_through(self._study, notes):
            prune = self._study.pruner.prune(self._study, trial)
        return Decision(prune, notes.system)


class _DecisionStorage:
    """The storage for one decision: it collects the attributes that the pruner writes.

    They are stored together with the decision, in one transaction. If the worker dies before that, nothing is
    stored, and the next attempt is judged again.
    """

    def __init__(self, seen: LearntFrom) -> None:
        self._seen = seen
        self.system: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._seen, name)

    def get_all_trials(self, *arguments: Any, **named: Any) -> list[FrozenTrial]:
        """The trials that ran in this study: what was imported has no epochs to compare with."""
        return [trial for trial in self._seen.get_all_trials(*arguments, **named) if not is_imported(trial)]

    def set_trial_system_attr(self, _trial_id: int, key: str, value: Any) -> None:
        self.system[key] = value
