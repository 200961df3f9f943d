"""Which rows are attempts at a study's cells, how one is claimed, and what a claimed attempt starts from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import sqlalchemy
from optuna.trial import TrialState
from sqlalchemy import bindparam, orm, select
from sqlalchemy.engine import Connection

from mnist_tune.errors import Damaged
from mnist_tune.files.checkpoints import is_older
from mnist_tune.records.parameters import distribution, external
from mnist_tune.records.values import parse
from mnist_tune.storage.engine import utc_now
from mnist_tune.storage.keys import (
    CELL,
    CHECKPOINT,
    CLAIM,
    FAILURE,
    FAILURES,
    LAST_CHECKPOINT,
    NOT_KEPT,
    REMARK,
)
from mnist_tune.storage.notes import Notes
from mnist_tune.storage.optuna_internals import (
    parameters,
    studies,
    system_attributes,
    trials,
    user_attributes,
)
from mnist_tune.storage.prepared import Prepared, is_one_of
from mnist_tune.storage.statements import UNFINISHED

StudyId = int | sqlalchemy.BindParameter[int]
"""A study's id or, in a statement that is prepared, what stands for it."""
OF_STUDY = bindparam("of_study", type_=sqlalchemy.Integer())

LOCK_STUDY = Prepared(
    studies.update().where(studies.c.study_id == OF_STUDY).values(study_id=studies.c.study_id)
)
PARAMETERS_OF = Prepared(
    select(parameters.c.param_name, parameters.c.param_value, parameters.c.distribution_json).where(
        parameters.c.trial_id == bindparam("of_trial")
    )
)
ATTRIBUTES_OF = select(system_attributes.c.key, system_attributes.c.value_json).where(
    system_attributes.c.trial_id == bindparam("of_trial")
)
ATTRIBUTE_OF = Prepared(ATTRIBUTES_OF.where(system_attributes.c.key == bindparam("of_key")))
INHERITED_OF = Prepared(ATTRIBUTES_OF.where(is_one_of(system_attributes.c.key, CHECKPOINT, FAILURES)))


def lock_study(session: orm.Session, study_id: int) -> None:
    """Lock the study's list of trials against other changes; on SQLite, lock for writing before any read."""
    LOCK_STUDY.execute(session, {"of_study": study_id})


def cells_of(study_id: StudyId, *states: TrialState) -> sqlalchemy.ColumnElement[bool]:
    """The SQL condition that a row of `trials` is an attempt at a cell of the study, in one of `states`."""
    return cells_of_any([study_id], *states)


def cells_of_any(study_ids: Sequence[StudyId], *states: TrialState) -> sqlalchemy.ColumnElement[bool]:
    """The SQL condition that a row of `trials` is an attempt at a cell of one of these studies."""
    # A trial that somebody enqueued through stock Optuna has no cell: the queue neither runs nor counts it.
    named = system_attributes.alias("cell")
    is_cell = sqlalchemy.exists().where(named.c.trial_id == trials.c.trial_id, named.c.key == CELL)
    # One study's statement is prepared. Of many, SQLite takes a list, but no more than a thousand conditions.
    in_studies = trials.c.study_id.in_(study_ids) if len(study_ids) > 1 else trials.c.study_id == study_ids[0]
    return sqlalchemy.and_(in_studies, is_one_of(trials.c.state, *states), is_cell)


def claim_first(study_id: int, allowed: sqlalchemy.ColumnElement[bool]) -> sqlalchemy.ClauseElement:
    """The statement that claims the study's first waiting cell; it returns the trial's id and number."""
    first_waiting = (
        select(trials.c.trial_id)
        .where(cells_of(study_id, TrialState.WAITING), allowed)
        .order_by(trials.c.trial_id)
        .limit(1)
        .with_for_update(skip_locked=True)  # PostgreSQL: do not queue up behind another's claim
    )
    statement: sqlalchemy.ClauseElement = (
        trials.update()
        .where(trials.c.trial_id == first_waiting.scalar_subquery(), trials.c.state == TrialState.WAITING)
        .values(state=TrialState.RUNNING, datetime_start=utc_now())
        .returning(trials.c.trial_id, trials.c.number)
    )
    return statement


def claimed_before(study_id: int) -> sqlalchemy.Select[Any]:
    """The statement that finds the trial that was claimed with `token`, given as its JSON text.

    It is running, or failed. Whoever completes or prunes one knows of the claim, and asks no more for it.
    """
    claim = system_attributes.alias("claim")
    with_token = sqlalchemy.exists().where(
        claim.c.trial_id == trials.c.trial_id, claim.c.key == CLAIM, claim.c.value_json == bindparam("token")
    )
    # The token first: databases ask in this order, and no other trial needs to be asked whether it is a cell.
    return select(trials.c.trial_id, trials.c.number, trials.c.state).where(
        with_token, cells_of(study_id, TrialState.RUNNING, TrialState.FAIL)
    )


class Cell(NamedTuple):
    """An attempt's parameters, what earlier attempts left to it, and which of these cannot be read."""

    parameters: dict[str, Any]
    left: dict[str, Any]
    """System attributes by name, such as the checkpoint and the failures so far."""
    damage: tuple[str, ...]
    """Parameters that cannot be read: it is not known what is to be run."""
    problems: tuple[str, ...]
    """Other values that cannot be read: the attempt can run without them."""


def read_cell(session: orm.Session, trial_id: int) -> Cell:
    """Read the parameters of a claimed trial and what earlier attempts at its cell left."""
    of_trial = {"of_trial": trial_id}
    known, left = {}, {}
    damage, problems = [], []
    for row in PARAMETERS_OF.execute(session, of_trial):
        try:
            known[row.param_name] = external(distribution(row.distribution_json), row.param_value)
        except Damaged as problem:
            damage.append(f"its {row.param_name} {problem}")
    for row in INHERITED_OF.execute(session, of_trial):
        try:
            left[row.key] = parse(row.key, row.value_json)
        except Damaged as problem:
            problems.append(f"{row.key} {problem}")
    return Cell(known, left, tuple(damage), tuple(problems))


def without_what_is_older(session: orm.Session, trial_id: int, notes: Notes) -> Notes:
    """The notes without a pointer to an older state, and without an older remark, than are stored."""
    if _is_older(session, trial_id, notes, CHECKPOINT, lambda given, known: is_older(given.key, known.key)):
        notes = {**notes, "system": _without(CHECKPOINT, notes["system"])}
    if _is_older(session, trial_id, notes, REMARK, lambda given, known: given < known):
        system, user = _without(REMARK, notes["system"]), _without(NOT_KEPT, notes.get("user", {}))
        notes = {**notes, "system": system, "user": user}
    return notes


def _is_older(
    session: orm.Session, trial_id: int, notes: Notes, key: str, older: Callable[[Any, Any], bool]
) -> bool:
    """Whether the notes have an older value of this system attribute than is stored."""
    if key not in notes.get("system", {}):
        return False
    stored = ATTRIBUTE_OF.execute(session, {"of_trial": trial_id, "of_key": key}).first()
    texts = json.dumps(notes["system"][key]), None if stored is None else stored.value_json
    try:
        return older(*(parse(key, text) for text in texts))
    except Damaged:  # there is none, or none to go on from
        return False


def _without(key: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if name != key}


def checkpoints_in_use(session: orm.Session, study_ids: Sequence[int]) -> tuple[set[str], set[int]]:
    """The keys of the checkpoints that trials of these studies need, and the ids of the trials that run."""
    running = select(trials.c.trial_id).where(cells_of_any(study_ids, TrialState.RUNNING))
    ids = set(session.execute(running).scalars())  # first: what ends from now on has its pointer below
    return checkpoint_keys(session, study_ids), ids


def checkpoint_keys(rows: orm.Session | Connection, study_ids: Sequence[int]) -> set[str]:
    """The keys of the checkpoints that trials of these studies need.

    Unfinished ones may go on from theirs, and complete ones keep those that are kept for more epochs.
    """
    # One statement: a complete trial may become a waiting one meanwhile, which points to the same state.
    needed = sqlalchemy.or_(
        sqlalchemy.and_(trials.c.state.in_(UNFINISHED), system_attributes.c.key == CHECKPOINT),
        sqlalchemy.and_(trials.c.state == TrialState.COMPLETE, system_attributes.c.key == LAST_CHECKPOINT),
    )
    pointers = (
        select(system_attributes.c.key, system_attributes.c.value_json)
        .join(trials, trials.c.trial_id == system_attributes.c.trial_id)
        .where(trials.c.study_id.in_(study_ids), needed)
    )
    keys = set()
    for row in rows.execute(pointers):
        with suppress(Damaged):  # no attempt can go on from a pointer that cannot be read
            keys.add(parse(row.key, row.value_json).key)
    return keys


def unexplained(study_id: StudyId) -> sqlalchemy.ColumnElement[bool]:
    """The SQL condition that another program ended an attempt as failed: no reason is stored for it."""
    reason = sqlalchemy.exists().where(
        user_attributes.c.trial_id == trials.c.trial_id, user_attributes.c.key == FAILURE
    )
    return sqlalchemy.and_(cells_of(study_id, TrialState.FAIL), ~reason)


GOING_ON = Prepared(
    select(trials.c.trial_id)
    .where(sqlalchemy.or_(cells_of(OF_STUDY, *UNFINISHED), unexplained(OF_STUDY)))
    .limit(1)
)


def have_ended(session: orm.Session, study_id: int) -> bool:
    """Whether no cell of the study waits, runs, or will be put back."""
    return GOING_ON.execute(session, {"of_study": study_id}).first() is None


def is_last(session: orm.Session, study_id: int, trial_id: int) -> bool:
    """Whether the cell of this trial has no later trial."""
    of_trial = system_attributes.alias()
    later = (
        select(trials.c.trial_id)
        .join(system_attributes, system_attributes.c.trial_id == trials.c.trial_id)
        .join(of_trial, of_trial.c.value_json == system_attributes.c.value_json)
        .where(trials.c.study_id == study_id, trials.c.trial_id > trial_id)
        .where(system_attributes.c.key == CELL, of_trial.c.key == CELL, of_trial.c.trial_id == trial_id)
    )
    return session.execute(later.limit(1)).first() is None
