"""Decides whether a finished trial was trained by a worker of ours; no other module decides this.

Whatever opens the storage can end a trial, or add a finished one: stock Optuna's `tell`, `optimize` and
`add_trials`, a dashboard. A worker that ends a trial stores the trial's number and value as its `RESULT`, in
the same transaction. Version 0.5.0 stored no `RESULT`: in its studies a trial was trained if its value is the
accuracy after its last epoch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from optuna.trial import FrozenTrial, TrialState
from packaging.version import InvalidVersion, Version
from sqlalchemy import orm, select

from mnist_tune.errors import Damaged
from mnist_tune.failures import Failure
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.records.values import Text, load, parse
from mnist_tune.spec.stored import as_stored_spec
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.keys import CLAIM, HISTORY, RESULT, SPEC, VERSION
from mnist_tune.storage.optuna_internals import study_attributes

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
"""The states in which a trial finishes its cell."""
UNTRAINED = Failure("lost", "another program than a worker ended it, and nothing was trained")
"""Stands for the failure of a finished trial that no worker trained."""
UNEXPLAINED = Failure("lost", "another program than a worker ended it as failed")
"""The failure that is stored for a failed trial without a reason."""
FIRST_WITH_RESULTS = Version("0.6.0.dev0")
"""The first version whose workers store a `RESULT`."""
UNREADABLE = object()
"""Stands for a stored value that cannot be read; a worker may have written it all the same."""


class EndedTrial(NamedTuple):
    """The columns of a finished trial that tell who has ended it."""

    number: Any
    state: TrialState
    values: list[Any]
    parameters: Mapping[str, Any]
    is_claimed: bool
    result: Any
    """Its `RESULT` as number and value; None if none is stored, `UNREADABLE` if it cannot be read."""
    history: Any
    """The metrics of its epochs; None if none are stored, `UNREADABLE` if they cannot be read."""


class TrainedTrials:
    """Tells which finished trials of one study were trained by its workers."""

    def __init__(self, former_spec: Spec | None = None) -> None:
        """`former_spec` is the study's spec if its workers may have stored no `RESULT`."""
        self._former_spec = former_spec

    def is_result(self, ended: EndedTrial) -> bool:
        """Whether a worker trained the trial and stored its result."""
        if not ended.is_claimed:
            return False
        if ended.result is not None:
            return ended.result is UNREADABLE or bool(ended.result[0] == ended.number)
        spec, history = self._former_spec, ended.history
        if spec is None or not history:
            return False
        if history is UNREADABLE:
            return True
        epochs = spec.epochs(dict(ended.parameters))
        is_whole = spec.pruner is not None if ended.state is TrialState.PRUNED else len(history) == epochs
        return is_whole and ended.values == [history[-1][spec.description.objective]]

    def was_trained(self, trial: FrozenTrial) -> bool:
        """Whether a worker trained the trial, given as Optuna's object, whose attributes may be damaged."""
        if trial.state not in FINISHED:
            return False
        history = _history(trial) if self._former_spec is not None else None
        values, is_claimed = trial.values or [], CLAIM in trial.system_attrs
        return self.is_result(
            EndedTrial(trial.number, trial.state, values, trial.params, is_claimed, _result(trial), history)
        )

    def has_ended(self, trial: FrozenTrial) -> bool:
        """Whether a worker has trained a trial to its end, whatever has become of it since."""
        result = _result(trial)
        is_its_own = result is UNREADABLE or (result is not None and result[0] == trial.number)
        return CLAIM in trial.system_attrs and is_its_own

    def has_its_result(self, trial: FrozenTrial) -> bool:
        """Whether a worker trained the trial and the trial's value is the one that the worker stored."""
        if not self.was_trained(trial):
            return False
        result = _result(trial)
        if result is None:
            return _history(trial) is not UNREADABLE
        return result is not UNREADABLE and trial.values == [result[1]]


def trained_in(session: orm.Session, study_id: int, spec: Spec | None = None) -> TrainedTrials:
    """Make the `TrainedTrials` of a stored study; its spec is read if it is not given."""
    ours = study_attributes.c.study_id == study_id, study_attributes.c.key.in_([SPEC, VERSION])
    rows = session.execute(select(study_attributes.c.key, study_attributes.c.value_json).where(*ours))
    texts: dict[str, Text] = {row.key: row.value_json for row in rows}
    return trained_with({key: _loaded(text) for key, text in texts.items()}, spec)


def trained_with(attributes: Mapping[str, Any], spec: Spec | None = None) -> TrainedTrials:
    """The `TrainedTrials` of a study with these attributes."""
    if not _is_former(attributes.get(VERSION)):
        return TrainedTrials()
    try:
        return TrainedTrials(spec or as_stored_spec(attributes.get(SPEC)))
    except Damaged:  # damaged, or not a study of ours: nothing is known of its cells
        return TrainedTrials()


def _is_former(version: Any) -> bool:
    """Whether a study of this version may have trials without `RESULT`; True if it cannot be read."""
    try:
        return Version(version) < FIRST_WITH_RESULTS
    except (InvalidVersion, TypeError):
        return True


def _loaded(text: Text) -> Any:
    try:
        return load(text)
    except Damaged:
        return None


def _result(trial: FrozenTrial) -> Any:
    if RESULT not in trial.system_attrs:
        return None
    match trial.system_attrs[RESULT]:
        case [int(), int() | float()] as result:
            return result
    return UNREADABLE


def _history(trial: FrozenTrial) -> list[EpochMetrics] | Any:
    if HISTORY not in trial.user_attrs:
        return None
    try:
        return parse(HISTORY, json.dumps(trial.user_attrs[HISTORY]))
    except Damaged:
        return UNREADABLE
