"""Checks of what was drawn for the cells of a sampled search: twice, taken over, or nothing at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from optuna.trial import TrialState

from mnist_tune.records.distributions import drawn
from mnist_tune.records.trained import FINISHED
from mnist_tune.search.finite_space import n_configurations
from mnist_tune.spec.conditions import SEED, wanted
from mnist_tune.spec.revisions import key_of_point
from mnist_tune.storage.keys import CLOSED, REUSED
from mnist_tune.verification.stored import Stored, StoredAttempt, was_taken


def distinct(stored: Stored, _: None) -> Iterator[str]:
    """Where a sampler draws again what is a cell already, no two cells have the same parameters."""
    if stored.spec.search.duplicates != "redraw":
        return
    known = [
        key_of_point(point) for point in stored.spec.search.enqueue or ()
    ]  # those are tried when they are named
    first: dict[Any, int] = {}
    for attempt in _whole(stored):
        key = key_of_point(attempt.trial.params)
        cell = first.setdefault(key, attempt.cell)
        if cell != attempt.cell and key not in known:
            yield f"cells {cell} and {attempt.cell} have the same parameters"


def taken_over(stored: Stored, attempt: StoredAttempt) -> Iterator[str]:
    """A result that was taken over within the study is that of a trial with the same parameters."""
    reused = attempt.trial.user_attrs.get(REUSED)
    if not isinstance(reused, dict) or reused.get("study") != stored.spec.study.name:
        return
    numbered = (one for one in stored.attempts if one.trial.number == reused.get("trial"))
    source = next(numbered, None)
    if source is None or source.trial.state not in FINISHED:
        if not stored.unreadable:
            yield f"has the result of trial {reused.get('trial')}, which has none"
    elif source.trial.params != attempt.trial.params:
        yield f"has the result of trial {source.trial.number}, which has other parameters"
    elif source.trial.values != attempt.trial.values:
        yield f"has the result of trial {source.trial.number}, which has another value"


def closed(stored: Stored, _: None) -> Iterator[str]:
    """Each cell that was closed is told by the spec, and there is nothing left that could be drawn for it."""
    told, search = stored.spec.search.closed_cells, stored.spec.search
    there = {trial.system_attrs[CLOSED]: trial for trial in stored.trials if CLOSED in trial.system_attrs}
    if not stored.unreadable:
        yield from (f"the spec has closed cell {cell}, but no trial says so" for cell in told - there.keys())
    for cell, trial in there.items():
        if cell not in told:
            yield f"trial {trial.number} was closed with cell {cell}, of which the spec does not know"
        elif trial.state != TrialState.FAIL:
            yield f"trial {trial.number} is {trial.state.name}, but its cell was closed"
    for revision in search.revisions or ():
        if not revision.configurations:
            continue
        first = int(stored.spec.training.seed)
        given = {} if stored.spec.replicates is None else {SEED: first}
        size = n_configurations(drawn(stored.spec), search.conditions, given)
        is_replicated = bool(given) or search.has_replicates
        points = {
            key_of_point(attempt.trial.params)
            for attempt in _whole(stored)
            if not is_replicated or attempt.trial.params.get(SEED, first) == first
        }
        if size != revision.configurations:
            has = "more than can be listed" if size is None else size
            yield f"the spec says that the space has {revision.configurations} configurations; it has {has}"
        elif len(points) < size and not stored.unreadable:
            yield f"cells were closed, though {size - len(points)} configurations of {size} are no cell"


def _whole(stored: Stored) -> Iterator[StoredAttempt]:
    """The last attempts of cells that have all their parameters."""
    axes, conditions = drawn(stored.spec), stored.spec.search.conditions
    for attempt in stored.attempts:
        parameters = attempt.trial.params
        is_whole = set(wanted(axes, conditions, parameters)) <= parameters.keys()
        if is_whole and attempt.following is None and not was_taken(attempt.trial):
            yield attempt
