"""Cells whose retry budget is spent, put back with a fresh one."""

from __future__ import annotations

from optuna.trial import TrialState
from sqlalchemy import select

from mnist_tune.attributes import CELL
from mnist_tune.cells import insert_waiting, lock_study, next_attempt
from mnist_tune.errors import UserError
from mnist_tune.rows import system_attributes, trials
from mnist_tune.studies import OpenStudy


def put_back_holes(study: OpenStudy, number: int | None = None) -> list[int]:
    """Put back the cells that failed for good, or only that of one trial; the numbers of their last trials.

    Done again, it finds nothing more to do: what waits or runs is no hole.

    Raises:
        UserError: the trial is not the last attempt at a cell that failed for good.
    """
    with study.storage.transaction() as session:
        lock_study(session, study.study_id)
        of_cells = (
            select(trials, system_attributes.c.value_json.label("cell"))
            .join(system_attributes, system_attributes.c.trial_id == trials.c.trial_id)
            .where(trials.c.study_id == study.study_id, system_attributes.c.key == CELL)
            .order_by(trials.c.trial_id)
        )
        last = {row.cell: row for row in session.execute(of_cells)}
        holes = {row.number: row for row in last.values() if row.state == TrialState.FAIL}
        if number is not None:
            if number not in holes:
                known = f"these are: {', '.join(map(str, sorted(holes)))}" if holes else "there is none"
                raise UserError(
                    f"trial {number} is not the last attempt at a cell that failed for good; {known}"
                )
            holes = {number: holes[number]}
        failed = [study.storage.frozen(session, row.trial_id) for row in holes.values()]
        if failed:
            insert_waiting(session, study.study_id, [next_attempt(attempt, {}) for attempt in failed])
    return sorted(holes)
