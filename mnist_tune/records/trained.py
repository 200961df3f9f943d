"""Whether a finished trial is one that a worker of ours has trained: said here, and nowhere else.

Whatever opens the storage can end a trial, or add one that is finished: stock Optuna's `tell`, `optimize` and
`add_trials`, a dashboard. A worker that ends one leaves as its `RESULT` the trial's number and the value, in
the same transaction. Version 0.5.0 left none: in its studies the value is known by the accuracy after the
last epoch.
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
from mnist_tune.records.stored_spec import as_stored_spec
from mnist_tune.records.values import Text, load, parse
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.keys import CLAIM, HISTORY, RESULT, SPEC, VERSION
from mnist_tune.storage.optuna_internals import study_attributes

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
"""The states that finish a cell."""
UNTRAINED = Failure("lost", "another program than a worker ended it, and nothing was trained")
"""Of a trial that is finished and was not trained."""
UNEXPLAINED = Failure("lost", "another program than a worker ended it as failed")
"""Of a failed trial that does not say why."""
FIRST_WITH_RESULTS = Version("0.6.0.dev0")
"""Of the versions, the first whose workers leave a `RESULT`."""
UNREADABLE = object()
"""In the place of a value that is stored and cannot be read: a worker may have left it all the same."""


class Ended(NamedTuple):
    """What of a finished trial says who has ended it."""

    number: Any
    state: TrialState
    values: list[Any]
    parameters: Mapping[str, Any]
    is_claimed: bool
    result: Any
    """Number and value; None if none is stored, or `UNREADABLE`."""
    history: Any
    """The metrics of its epochs; None if none is stored, or `UNREADABLE`."""


class Trained:
    """Which finished trials of one study its workers have trained."""

    def __init__(self, former_spec: Spec | None = None) -> None:
        """`former_spec` is that of a study whose workers may have left no `RESULT`."""
        self._former_spec = former_spec

    def is_result(self, ended: Ended) -> bool:
        """Whether a worker has left what the trial ended with."""
        if not ended.is_claimed:
            return False
        if ended.result is not None:
            return ended.result is UNREADABLE or bool(ended.result[0] == ended.number)
        spec, history = self._former_spec, ended.history
        if spec is None or not history:
            return False
        if history is UNREADABLE:
            return True
        epochs = ended.parameters.get("epochs", spec.training.epochs)
        is_whole = spec.pruner is not None if ended.state is TrialState.PRUNED else len(history) == epochs
        return is_whole and ended.values == [history[-1].validation_accuracy]

    def was_trained(self, trial: FrozenTrial) -> bool:
        """The same of Optuna's own object, whose attributes may be anything."""
        if trial.state not in FINISHED:
            return False
        history = _history(trial) if self._former_spec is not None else None
        values, is_claimed = trial.values or [], CLAIM in trial.system_attrs
        return self.is_result(
            Ended(trial.number, trial.state, values, trial.params, is_claimed, _result(trial), history)
        )

    def has_its_result(self, trial: FrozenTrial) -> bool:
        """Whether its value, too, is the one that the worker left."""
        if not self.was_trained(trial):
            return False
        result = _result(trial)
        if result is None:
            return _history(trial) is not UNREADABLE
        return result is not UNREADABLE and trial.values == [result[1]]


def trained_in(session: orm.Session, study_id: int, spec: Spec | None = None) -> Trained:
    """How it is known in this study; its spec is read if it is not given."""
    ours = study_attributes.c.study_id == study_id, study_attributes.c.key.in_([SPEC, VERSION])
    rows = session.execute(select(study_attributes.c.key, study_attributes.c.value_json).where(*ours))
    texts: dict[str, Text] = {row.key: row.value_json for row in rows}
    return trained_with({key: _loaded(text) for key, text in texts.items()}, spec)


def trained_with(attributes: Mapping[str, Any], spec: Spec | None = None) -> Trained:
    """The same of a study with these attributes."""
    if not _is_former(attributes.get(VERSION)):
        return Trained()
    try:
        return Trained(spec or as_stored_spec(attributes.get(SPEC)))
    except Damaged:  # not ours, or damaged: nothing is known of its cells
        return Trained()


def _is_former(version: Any) -> bool:
    """Whether a study of this version is from before `RESULT`; one that cannot be read may be."""
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
