"""Checks of the cells: each exists once, is tried as often as it may be, and keeps its parameters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from reprlib import repr as shortened
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from mnist_tune.contract.study import Control
from mnist_tune.failures import EXTENDED
from mnist_tune.records.distributions import distributions, drawn
from mnist_tune.records.trained import FINISHED
from mnist_tune.spec.conditions import wanted
from mnist_tune.spec.more_epochs import EPOCHS
from mnist_tune.spec.revisions import Stage
from mnist_tune.storage.keys import CLOSED, CONTROL, FAILURES, IMPORTED
from mnist_tune.storage.optuna_internals import trial_id_of
from mnist_tune.verification.stored import (
    Stored,
    StoredAttempt,
    cell_of,
    failure_class,
    failures_with,
    was_taken,
)


def there(stored: Stored, cell: int) -> Iterator[str]:
    """Every cell of the spec has a trial, and there is no other cell."""
    if cell not in stored.cells:
        if not stored.unreadable:  # an unreadable trial may be for any cell
            yield "no trial is for this cell"
    elif cell not in stored.known_cells:
        yield f"the spec has cells {stored.spec.search.cells_told} only"


def grown(stored: Stored, _: None) -> Iterator[str]:
    """Each step of the study's growth has added as many cells as it says."""
    search = stored.spec.search
    stages = [] if search.grid is None else search.stages
    sizes = [math.prod(map(len, stage.grid.values())) + _beside(stage) for stage in stages]
    for number, revision in enumerate(search.revisions or ()):
        cells = revision.n_trials if search.grid is None else sizes[number + 1] - sizes[number]
        if revision.cells != cells:
            yield f"step {number + 1} says that it added {revision.cells} cells; it has added {cells}"


def enqueued(stored: Stored, _: None) -> Iterator[str]:
    """Each known point that a sampled search was given is that of a cell."""
    search = stored.spec.search
    if search.grid is not None or stored.unreadable:  # those of a grid are cells of their own
        return
    for point in search.enqueue or ():
        if not any(point.items() <= attempt.trial.params.items() for attempt in stored.attempts):
            yield f"no cell has the point {shortened(point)}"


def _beside(stage: Stage) -> int:
    """How many points of a stage are no combination of its grid."""
    return sum(any(point[name] not in stage.grid[name] for name in point) for point in stage.points)


def controlled(stored: Stored, _: None) -> Iterator[str]:
    """The stored control tells workers whether they may claim cells."""
    control = stored.study_attributes.get(CONTROL, Control.RUNNING)
    if control not in list(Control):
        yield f"the study's control is {control!r}; it should be one of {', '.join(Control)}"


def numbered(stored: Stored, attempt: StoredAttempt) -> Iterator[str]:
    """Trials are numbered from 0, without a gap."""
    number = attempt.trial.number
    place = number - sum(one is not None and one < number for one in stored.unreadable)
    if not place < len(stored.trials) or stored.trials[place] is not attempt.trial:
        yield "a trial before it is missing, or has the same number"


def at_its_point(stored: Stored, attempt: StoredAttempt) -> Iterator[str]:
    """Each cell has the parameters that the spec has for it."""
    if stored.spec.search.grid is None:
        yield from _sampled(stored, attempt.trial)
    elif attempt.cell in range(stored.spec.n_cells):
        point = stored.points[attempt.cell]
        yield from _differing(point.params, attempt.trial.params)
        if attempt.trial.distributions != point.distributions:
            yield "the values to choose from are not the spec's"
        # The attributes by which stock Optuna knows the cell.
        yield from _differing(point.system_attrs, attempt.trial.system_attrs)


def _sampled(stored: Stored, trial: FrozenTrial) -> Iterator[str]:
    axes, may_have = drawn(stored.spec), distributions(stored.spec)
    for name, distribution in trial.distributions.items():
        if distribution != may_have.get(name):
            yield f"{name} was not sampled from what the spec says"
    has = set(wanted(axes, stored.spec.search.conditions, trial.params))
    for name in axes:
        if name in trial.params and name not in has:
            yield f"{name} was sampled, though its condition does not hold"
        elif name in has - trial.params.keys() and trial.state in FINISHED:
            yield f"{name} was never sampled"


def unchanged(_: Stored, attempt: StoredAttempt) -> Iterator[str]:
    """All attempts at a cell have the same parameters."""
    if attempt.previous is not None and not was_taken(attempt.previous):
        yield from _differing(attempt.previous.params, attempt.trial.params)
        yield from _differing({"fixed_params": attempt.previous.params}, attempt.trial.system_attrs)


def one_at_a_time(_: Stored, attempt: StoredAttempt) -> Iterator[str]:
    """A cell is tried again only after a failure: at most one attempt runs, and none follows a success."""
    previous = attempt.previous
    if previous is not None and previous.state != TrialState.FAIL:
        yield f"the attempt before it, trial {previous.number}, is {previous.state.name}"


def within_budget(stored: Stored, attempt: StoredAttempt) -> Iterator[str]:
    """A failed cell is tried again until the budget of [retry] is spent, and no longer."""
    kind = failure_class(attempt.trial)
    if kind is None or kind == EXTENDED:  # `reasoned` and `extended` report on these
        return
    budget = f"the budget of retry.{kind} = {getattr(stored.spec.retry, kind)}"
    spent = _is_spent(stored, attempt.trial, kind)
    if attempt.following is None and not any(spent):
        yield f"nobody will try the cell again, though {budget} is not spent"
    if attempt.following is not None and all(spent) and attempt.following.system_attrs.get(FAILURES):
        yield f"the cell was tried again, though {budget} is spent"


def counted(stored: Stored, attempt: StoredAttempt) -> Iterator[str]:
    """Each attempt knows how often its cell has failed before."""
    expected: list[dict[str, int]] = []
    if stored.unreadable:  # an unreadable trial may be an attempt before it
        return
    if attempt.previous is None:
        expected = [{}]
    elif (kind := failure_class(attempt.previous)) is not None:
        # Nothing had gone wrong with one that was extended.
        expected = [{} if kind == EXTENDED else failures_with(attempt.previous, kind)]
        if kind != EXTENDED and any(_is_spent(stored, attempt.previous, kind)):
            expected.append({})  # somebody gave the failed cell a fresh budget
    counts = attempt.trial.system_attrs.get(FAILURES, {})
    if expected and counts not in expected:
        yield f"has {counts} for failures so far, but there were {expected[0]}"


def extended(stored: Stored, attempt: StoredAttempt) -> Iterator[str]:
    """An attempt was extended after its last epoch only: its cell goes on, as no other does, to more."""
    trial = attempt.trial
    if failure_class(trial) != EXTENDED:
        return
    given = [one.epochs for one in stored.spec.search.revisions or () if one.epochs]
    if not given:
        yield "was extended, but the study was never given more epochs"
    if not stored.trained.has_ended(trial):
        yield "was extended, but no worker had trained it to its end"
    epochs, history = stored.spec.epochs(trial.params), stored.histories[trial_id_of(trial)]
    before = [epochs - sum(given[first:]) for first in range(len(given))]
    if EPOCHS not in stored.spec.search.axes and isinstance(history, list) and len(history) not in before:
        yield f"was extended after {len(history)} epochs, which its trials never had for their last"
    if attempt.following is None:
        yield "was extended, but no other trial goes on for its cell"


def _is_spent(stored: Stored, trial: FrozenTrial, kind: str) -> list[bool]:
    """Whether the budget is spent, by the present [retry] and by each one that held before a change."""
    limits = [getattr(retry, kind) for retry in stored.budgets]
    return [0 <= limit < failures_with(trial, kind)[kind] for limit in limits]


def foreign(_: Stored, trial: FrozenTrial) -> Iterator[str]:
    """Every trial belongs to a cell, or is a result that was imported."""
    checked = {CLOSED, IMPORTED}  # by `drawn.closed` and `imported.marked`
    if cell_of(trial) is None and not checked & trial.system_attrs.keys():
        yield "is not a trial of ours: no worker runs it, no report counts it"


def _differing(expected: Mapping[str, Any], found: dict[str, Any]) -> Iterator[str]:
    for key, value in expected.items():
        if key not in found:
            yield f"{key} is missing; it should be {shortened(value)}"
        elif found[key] != value:
            yield f"{key} is {shortened(found[key])}; it should be {shortened(value)}"
