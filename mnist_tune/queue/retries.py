"""What happens to a cell whose attempt has failed: it is tried again as long as its budget allows."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import sqlalchemy
from optuna.distributions import BaseDistribution
from optuna.trial import TrialState
from sqlalchemy import bindparam, orm, select

from mnist_tune.errors import Damaged
from mnist_tune.failures import Failure, FailureClass
from mnist_tune.queue.cells import PARAMETERS_OF
from mnist_tune.queue.trial_rows import insert_waiting
from mnist_tune.records.distributions import Waiting, distributions
from mnist_tune.records.parameters import distribution, external
from mnist_tune.records.values import load, parse
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.engine import utc_now
from mnist_tune.storage.keys import CELL, CHECKPOINT, FAILURE, FAILURES, GENERATION, RUNG
from mnist_tune.storage.optuna_internals import system_attributes, trials
from mnist_tune.storage.statements import changed, hold, put

# A retry goes on from its rung of ASHA and is not judged there again. CMA-ES finds its points by prefix.
KEPT_OF = select(system_attributes).where(
    system_attributes.c.trial_id == bindparam("of_trial"),
    sqlalchemy.or_(
        system_attributes.c.key.in_(["grid_id", "search_space", CELL, CHECKPOINT]),
        *(system_attributes.c.key.startswith(prefix, autoescape=True) for prefix in (RUNG, GENERATION)),
    ),
)


def fail(
    session: orm.Session, trial_id: int, failure: Failure, still: sqlalchemy.ColumnElement[bool]
) -> bool:
    """End a running attempt as failed, with its reason, if the condition `still` holds; whether it did."""
    # PostgreSQL: a heartbeat that is being written holds the row. Wait for it, so that `still` sees it.
    hold(session, trials.c.trial_id == trial_id)
    runs = trials.c.trial_id == trial_id, trials.c.state == TrialState.RUNNING
    ended = trials.update().where(*runs, still).values(state=TrialState.FAIL, datetime_complete=utc_now())
    if not changed(session, ended):
        return False
    put(session, trial_id, user={FAILURE: failure.stored()})
    return True


def failures_of(session: orm.Session, trial_id: int) -> dict[str, int]:
    """How often the cell of this trial had failed before, by class; an unreadable count is left out."""
    of_trial = system_attributes.c.trial_id == trial_id, system_attributes.c.key == FAILURES
    text = session.execute(select(system_attributes.c.value_json).where(*of_trial)).scalar()
    with suppress(Damaged):
        return dict(parse(FAILURES, text))
    return {}


def put_back(session: orm.Session, study_id: int, trial_id: int, failed_as: FailureClass, spec: Spec) -> bool:
    """Append a new trial for the cell of a failed attempt if its budget for this class of failure allows.

    Raises:
        Damaged: the cell or a parameter cannot be read, so that it is not known what is to be run.
    """
    failures = failures_of(session, trial_id)
    failures[failed_as] = failures.get(failed_as, 0) + 1
    if 0 <= getattr(spec.retry, failed_as) < failures[failed_as]:
        return False
    insert_waiting(session, study_id, [next_attempt(session, trial_id, failures, distributions(spec))])
    return True


def next_attempt(
    session: orm.Session, trial_id: int, failures: dict[str, int], axes: Mapping[str, BaseDistribution]
) -> Waiting:
    """A waiting trial for the cell of `trial_id`; damage to what the cell does not need is ignored.

    Raises:
        Damaged: the cell or a parameter cannot be read, so that it is not known what is to be run.
    """
    of_trial = {"of_trial": trial_id}
    system_attrs = {}
    for row in session.execute(KEPT_OF, of_trial):
        try:
            system_attrs[row.key] = load(row.value_json)
        except Damaged as problem:
            if row.key == CELL:
                raise Damaged(f"its cell {problem}") from None
    # The parameters that a sampler gave the first attempt are frozen: a retry is the same cell, not a new
    # draw. Another program that took the cell may have added parameters that are no axes: they are left out.
    searched, params = {}, {}
    for row in PARAMETERS_OF.execute(session, of_trial):
        name = row.param_name
        try:
            if name in axes and distribution(row.distribution_json) == axes[name]:
                params[name] = external(axes[name], row.param_value)
                searched[name] = axes[name]
        except Damaged as problem:
            raise Damaged(f"its {name} {problem}") from None
    system_attrs |= {"fixed_params": params, FAILURES: failures}
    return Waiting(params, searched, system_attrs)
