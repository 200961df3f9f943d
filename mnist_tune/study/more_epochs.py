"""Gives the trials of a study more epochs: those that were complete go on where they have ended.

A complete trial becomes a failed attempt, which was extended: its epochs, its files and, as the reason, its
result stay with it. Its cell waits again as a new trial that points to the checkpoint which the old one has
kept. All of that is one transaction, with the spec that says how many epochs there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import NamedTuple

import sqlalchemy
from optuna.trial import TrialState
from sqlalchemy import orm, select

from mnist_tune.errors import Damaged, UserError
from mnist_tune.failures import EXTENDED
from mnist_tune.files.checkpoints import Checkpoint
from mnist_tune.jobs.metric import words
from mnist_tune.queue.cells import cells_of
from mnist_tune.queue.retries import next_attempt
from mnist_tune.queue.trial_rows import insert_waiting
from mnist_tune.records.distributions import distributions
from mnist_tune.records.stored_trial import StoredTrial
from mnist_tune.records.trials import read_trials
from mnist_tune.records.values import parse
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.keys import CHECKPOINT, FAILURE, LAST_CHECKPOINT
from mnist_tune.storage.optuna_internals import objective_values, system_attributes, trials
from mnist_tune.storage.statements import SET_STATE, UNFINISHED, hold, put
from mnist_tune.text.wording import counted


class Ended(NamedTuple):
    """A complete trial that goes on, and the state after its last epoch."""

    trial: StoredTrial
    state: Checkpoint


def to_go_on(session: orm.Session, study_id: int, spec: Spec, *, held: bool) -> list[Ended]:
    """The complete trials of a study, which are to have more epochs; pruned ones stay as they are.

    With `held` the study is locked, and so are its unfinished trials from now on: none is claimed until the
    transaction ends, and the next claim knows the new number of epochs.

    Raises:
        UserError: a trial runs, or has kept no state, or cannot be read.
    """
    if held:
        hold(session, cells_of(study_id, *UNFINISHED))
    epochs, name = spec.training.epochs, spec.study.name
    running = select(sqlalchemy.func.count()).select_from(trials)
    if n := session.execute(running.where(cells_of(study_id, TrialState.RUNNING))).scalar_one():
        raise UserError(
            f"extend: epochs: {counted(n, 'trial')} now {'runs' if n == 1 else 'run'} to {epochs}; have the "
            f"workers leave first with 'mnist-tune cancel {name}', and go on with 'mnist-tune resume {name}'"
        )
    stored = read_trials(session, study_id, spec)
    if stored.lost:
        raise UserError(f"extend: epochs: {stored.lost[0]}; 'mnist-tune verify {name}' says more")
    complete = [one for one in stored.trials if one.state is TrialState.COMPLETE and one.is_trained]
    states = _kept(session, study_id)
    without = [one for one in complete if one.trial_id not in states]
    if without:
        of = f"{len(without):,} of {counted(len(complete), 'complete trial')}"
        raise UserError(
            f"extend: epochs: no checkpoint was kept of {of}: [limits] keep_last holds for those that end "
            "after it is set; make another study with more epochs"
        )
    return [Ended(one, states[one.trial_id]) for one in complete]


def go_on(session: orm.Session, study_id: int, spec: Spec, ended: Sequence[Ended]) -> None:
    """Have complete trials of a locked study go on, each as a new trial of its cell.

    Raises:
        UserError: what is stored of one cannot be read.
    """
    axes, waiting = distributions(spec), []
    for trial, state in ended:
        of_trial = {"of_trial": trial.trial_id}
        put(
            session,
            trial.trial_id,
            user={FAILURE: {"class": EXTENDED, "reason": _why(spec, trial, state)}},
            system={CHECKPOINT: asdict(state)},
        )
        SET_STATE.execute(session, of_trial | {"to_state": TrialState.FAIL})
        # A failed trial has no value in Optuna. Its result and its epochs stay.
        session.execute(objective_values.delete().where(objective_values.c.trial_id == trial.trial_id))
        try:
            waiting.append(next_attempt(session, trial.trial_id, {}, axes))
        except Damaged as problem:
            raise UserError(f"extend: epochs: trial {trial.number}: {problem}") from None
    if waiting:
        insert_waiting(session, study_id, waiting)


def _why(spec: Spec, trial: StoredTrial, state: Checkpoint) -> str:
    """What is said of a trial that was complete, in place of its value."""
    job = spec.description
    value = "an unreadable result" if trial.value is None else job.text(trial.value)
    had = f"had {words(job.objective)} {value} after its {counted(state.epoch, 'epoch')}"
    return f"{had}; goes on to {spec.training.epochs}"


def _kept(session: orm.Session, study_id: int) -> dict[int, Checkpoint]:
    """The states that complete trials have kept, by trial id."""
    pointers = (
        select(system_attributes.c.trial_id, system_attributes.c.value_json)
        .join(trials, trials.c.trial_id == system_attributes.c.trial_id)
        .where(cells_of(study_id, TrialState.COMPLETE), system_attributes.c.key == LAST_CHECKPOINT)
    )
    found = {}
    for row in session.execute(pointers):
        with suppress(Damaged):
            found[row.trial_id] = parse(LAST_CHECKPOINT, row.value_json)
    return found
