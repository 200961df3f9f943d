"""Checks of what an attempt stored in the database: its numbers and its texts."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator

from optuna.trial import FrozenTrial, TrialState

from mnist_tune.errors import Damaged
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.records.trained import FINISHED
from mnist_tune.records.values import parse
from mnist_tune.storage.keys import ENVIRONMENT, EVALUATION, HISTORY, MOST_BYTES, RESULT
from mnist_tune.storage.optuna_internals import trial_id_of
from mnist_tune.verification.stored import Attribute, Stored, StoredAttempt

PASSWORD_IN_URL = re.compile(r"\w://[^/\s:@]*:(?!\*+@)[^/\s@]+@|\w://(?:(?!\w://)\S)*[?&]password=[^\s&]")


def finite(stored: Stored, attempt: StoredAttempt) -> Iterator[str]:
    """Each complete or pruned attempt has one finite value: the objective after the epoch that counts."""
    values = attempt.trial.values
    history = _history(stored, attempt.trial)
    if values is None:  # `accepted` reports it
        return
    if len(values) != 1 or not math.isfinite(values[0]):
        yield f"its value is {values}"
    elif _has_objective(stored) and history and values[0] != (counted := _counted(stored, history)):
        which = stored.spec.description.objective_epoch
        yield f"its value is {values[0]}, but its {which} epoch had {counted}"
    elif stored.trained.was_trained(attempt.trial) and not stored.trained.has_its_result(attempt.trial):
        yield f"its value is {values[0]}, but it ended with {attempt.trial.system_attrs.get(RESULT)}"


def pruned(stored: Stored, attempt: StoredAttempt) -> Iterator[str]:
    """Only a study with a pruner has pruned attempts, each ended before its last epoch."""
    if stored.spec.pruner is None:
        yield "was pruned, but the spec has no [pruner]"
    history = _history(stored, attempt.trial)
    if history is None or _was_copied_without(stored, attempt.trial):  # `gapless` or `came_along` reports it
        return
    done = len(history)
    configured = stored.spec.epochs(attempt.trial.params)
    if _ran_the_job(stored, attempt.trial) and not 0 < done < configured:
        yield f"was pruned after {done} epochs of {configured}"


def gapless(stored: Stored, attempt: StoredAttempt) -> Iterator[str]:
    """Each history has every epoch once, from the first; that of a complete trial has all."""
    history = stored.histories[trial_id_of(attempt.trial)]
    if isinstance(history, Damaged):
        yield f"its history {history}"
        return
    epochs = [metrics.epoch for metrics in history]
    if _was_copied_without(stored, attempt.trial):  # `came_along` reports it
        return
    if epochs != list(range(1, len(epochs) + 1)):
        yield f"its history has the epochs {epochs}"
    elif attempt.trial.state == TrialState.COMPLETE and _ran_the_job(stored, attempt.trial):
        configured = stored.spec.epochs(attempt.trial.params)
        if len(epochs) != configured:
            yield f"its history has {len(epochs)} epochs of {configured}"


def came_along(stored: Stored, attempt: StoredAttempt) -> Iterator[str]:
    """The epochs of each attempt were copied with the study."""
    if _was_copied_without(stored, attempt.trial):
        yield "another program copied it without its epochs; only their objective came along"


def reported(stored: Stored, attempt: StoredAttempt) -> Iterator[str]:
    """Optuna's plots show the same objective for each epoch as the history."""
    found = _history(stored, attempt.trial)
    if found is None or not (found or HISTORY in attempt.trial.user_attrs):
        return  # not a job with epochs, or `gapless` reports it
    if not _has_objective(stored):
        if attempt.trial.intermediate_values:
            yield f"its reports are {attempt.trial.intermediate_values}, but no epoch has the objective"
        return
    history = {metrics.epoch: metrics[stored.spec.description.objective] for metrics in found}
    reports = attempt.trial.intermediate_values
    if attempt.trial.state in FINISHED:
        agree = reports == history
    else:  # a crash between the two writes leaves one ahead
        agree = reports.items() <= history.items() or history.items() <= reports.items()
    if not agree:
        yield f"its reports are {reports}, but its history has {history}"


def small(_: Stored, attribute: Attribute) -> Iterator[str]:
    """Every attribute fits into 64 KB, the smallest text column of Optuna's databases."""
    size = len(attribute.text)
    if size > MOST_BYTES:
        yield f"'{attribute.key}' has {size:,} bytes"


def without_password(_: Stored, attribute: Attribute) -> Iterator[str]:
    """No attribute holds a URL with a password."""
    if PASSWORD_IN_URL.search(attribute.text):
        yield f"'{attribute.key}' holds a URL with a password; change the password"


def measured(stored: Stored, attempt: StoredAttempt) -> Iterator[str]:
    """Each complete attempt of a confirmation has results on test data, with its value; no other has any."""
    trial, metric = attempt.trial, stored.spec.description.test_metric
    found = trial.system_attrs.get(EVALUATION)
    if metric is None or trial.state != TrialState.COMPLETE:
        if found is not None:
            yield "has results on test data, which only a complete attempt of a confirmation has"
        return
    if not stored.trained.was_trained(trial):  # `claimed` reports it
        return
    if found is None:
        yield "is complete, but has no results on test data"
        return
    try:
        value = parse(EVALUATION, json.dumps(found)).metrics.get(metric)
    except Damaged as problem:
        yield f"its results on test data: {problem}"
        return
    if trial.values != [value]:
        yield f"its value is {trial.values}, but its {metric} on test data is {value}"


def _has_objective(stored: Stored) -> bool:
    """Whether epochs have the objective; in a confirmation it is measured after the last."""
    return stored.spec.description.test_metric is None


def _history(stored: Stored, trial: FrozenTrial) -> list[EpochMetrics] | None:
    """Its epochs; None if they are damaged, as `gapless` says."""
    history = stored.histories[trial_id_of(trial)]
    return None if isinstance(history, Damaged) else history


def _counted(stored: Stored, history: list[EpochMetrics]) -> float | None:
    """The value with which a trial of these epochs ends; None if an epoch has no objective."""
    values = [epoch[stored.spec.description.objective] for epoch in history]
    known = [value for value in values if value is not None]
    return stored.spec.description.counted_value(known) if len(known) == len(values) else None


def _was_copied_without(stored: Stored, trial: FrozenTrial) -> bool:
    """Whether a copy by stock Optuna left the trial's epochs behind: it does not copy our tables."""
    ran_elsewhere = trial.state in FINISHED and trial_id_of(trial) not in stored.ran_here
    return ran_elsewhere and bool(trial.intermediate_values) and _history(stored, trial) == []


def _ran_the_job(stored: Stored, trial: FrozenTrial) -> bool:
    """Whether a worker of ours ran the trial; another program's objective need not have epochs."""
    return bool(_history(stored, trial)) or HISTORY in trial.user_attrs or ENVIRONMENT in trial.user_attrs
