"""Puts cells that failed for good back, with a fresh retry budget."""

from __future__ import annotations

from typing import Any, NamedTuple

from optuna.trial import TrialState
from sqlalchemy import orm

from mnist_tune.errors import Damaged, UserError
from mnist_tune.queue.cells import is_last, lock_study
from mnist_tune.queue.retries import failures_of, next_attempt
from mnist_tune.queue.tickets import fill_tickets
from mnist_tune.queue.trial_rows import delete_orphans, insert_waiting
from mnist_tune.records.distributions import distributions, waiting_cells
from mnist_tune.records.stored_trial import StoredTrial
from mnist_tune.records.trained import UNEXPLAINED, UNTRAINED
from mnist_tune.records.trials import read_trials
from mnist_tune.spec.revisions import Point
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.keys import FAILURE
from mnist_tune.storage.optuna_internals import objective_values
from mnist_tune.storage.statements import SET_STATE, put
from mnist_tune.study.open_study import OpenStudy


class PutBack(NamedTuple):
    """Which cells that failed for good wait again, and which do not."""

    numbers: list[int]
    """The numbers of the last trials of the cells that wait again."""
    left: dict[int, str]
    """Why each other cell does not wait again, by the number of its last trial."""


def put_back_holes(study: OpenStudy, number: int | None = None) -> PutBack:
    """Put back the cells that failed for good, or only that of the trial `number`.

    This includes cells that another program has ended without training. A second call finds nothing to do: a
    cell that waits or runs has not failed, and one that cannot be read stays as it is.

    Raises:
        UserError: the trial is not the last attempt at a cell that failed for good.
    """
    with study.storage.transaction() as session:
        lock_study(session, study.study_id)
        spec = study.spec_in(session)
        stored = read_trials(session, study.study_id, spec)
        last = {trial.cell: trial for trial in stored.trials}
        holes, left = {}, {}
        for trial in sorted(last.values(), key=lambda trial: trial.number):
            if not trial.has_failed:
                continue
            if is_last(session, study.study_id, trial.trial_id):
                holes[trial.number] = trial
            else:
                left[trial.number] = "a later attempt at it cannot be read"
        if number is not None:
            if number not in holes:
                known = f"these are: {', '.join(map(str, sorted(holes)))}" if holes else "there is none"
                raise UserError(
                    f"trial {number} is not the last attempt at a cell that failed for good; {known}"
                )
            holes, left = {number: holes[number]}, {}
        done = []
        for trial in holes.values():
            try:
                _put_back(session, study.study_id, spec, trial)
                done.append(trial.number)
            except Damaged as problem:
                left[trial.number] = str(problem)
    return PutBack(done, left)


def make_deleted_cells(study: OpenStudy) -> list[int]:
    """Make cells anew of which somebody has deleted every trial; returns their indices."""
    with study.storage.transaction() as session:
        lock_study(session, study.study_id)
        spec = study.spec_in(session)
        deleted = read_trials(session, study.study_id, spec).deleted
        if deleted:
            delete_orphans(session)
            cells = waiting_cells(spec)
            insert_waiting(session, study.study_id, [cells[cell] for cell in deleted])
            if spec.search.grid is None:
                there = [trial.parameters for trial in read_trials(session, study.study_id, spec).trials]
                lost = [point for point in spec.search.enqueue or () if not _is_there(point, there)]
                fill_tickets(session, study.study_id, distributions(spec), lost[: len(deleted)])
    return deleted


def _is_there(point: Point, there: list[dict[str, Any]]) -> bool:
    return any(point.items() <= parameters.items() for parameters in there)


def _put_back(session: orm.Session, study_id: int, spec: Spec, trial: StoredTrial) -> None:
    failures: dict[str, int] = {}
    of_others = UNTRAINED if not trial.is_trained else None if trial.is_explained else UNEXPLAINED
    if of_others is not None:
        before = failures_of(session, trial.trial_id)
        failures = {**before, of_others.kind: before.get(of_others.kind, 0) + 1}
        if 0 <= getattr(spec.retry, of_others.kind) < failures[of_others.kind]:
            failures = {}
    again = next_attempt(session, trial.trial_id, failures, distributions(spec))
    if of_others is not None:
        # The state, reason and count of failures that a worker would have stored.
        session.execute(SET_STATE, {"of_trial": trial.trial_id, "to_state": TrialState.FAIL})
        session.execute(objective_values.delete().where(objective_values.c.trial_id == trial.trial_id))
        put(session, trial.trial_id, user={FAILURE: of_others.stored()})
    insert_waiting(session, study_id, [again])
