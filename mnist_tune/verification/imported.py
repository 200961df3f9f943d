"""Checks of results that were obtained elsewhere: they are marked as such, and no worker had them."""

from __future__ import annotations

import json
from collections.abc import Iterator

from optuna.trial import FrozenTrial, TrialState

from mnist_tune.errors import Damaged, UserError
from mnist_tune.records.distributions import distributions
from mnist_tune.records.values import parse
from mnist_tune.spec.imports import checked_result
from mnist_tune.storage.keys import CELL, CLAIM, CLOSED, IMPORTED, RESULT, WORKER
from mnist_tune.storage.optuna_internals import check_consistency, trial_id_of
from mnist_tune.verification.stored import Stored


def marked(stored: Stored, trial: FrozenTrial) -> Iterator[str]:
    """Each result that was imported says from where, is one that the search could have, and is of no cell."""
    try:
        parse(IMPORTED, json.dumps(trial.system_attrs[IMPORTED]))
    except Damaged as problem:
        yield f"from where it was imported {problem}"
    marks = {
        "a cell": CELL in trial.system_attrs or CLOSED in trial.system_attrs,
        "a claim": CLAIM in trial.system_attrs,
        "a worker's result": RESULT in trial.system_attrs,
        "a worker": WORKER in trial.user_attrs,
        "epochs": bool(stored.histories[trial_id_of(trial)] or trial.intermediate_values),
    }
    yield from (f"was imported, but has {mark}" for mark, has_it in marks.items() if has_it)
    if trial.state != TrialState.COMPLETE:
        yield f"was imported, but is {trial.state.name}"
        return
    try:
        check_consistency(trial)
    except ValueError as error:
        yield str(error)
    if len(trial.values or ()) != 1:
        yield f"its values are {trial.values}"
        return
    may_have = distributions(stored.spec)
    for name, distribution in trial.distributions.items():
        if distribution != may_have.get(name):
            yield f"the values to choose from for {name} are not the spec's"
    try:
        checked_result(stored.spec, trial.params, trial.values[0], "its result")
    except UserError as problem:
        yield str(problem)
