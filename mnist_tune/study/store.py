"""Studies in a storage: creates one with all its cells, opens, finds and lists them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import NamedTuple

from optuna.study import StudyDirection
from sqlalchemy import orm, select

from mnist_tune import __version__
from mnist_tune.errors import Damaged, MnistTuneError, UserError
from mnist_tune.queue.trial_rows import insert_waiting
from mnist_tune.records.distributions import distributions, ticket, waiting_cells
from mnist_tune.records.stored_spec import stored_spec
from mnist_tune.records.values import Text, load
from mnist_tune.spec.differences import differences
from mnist_tune.spec.documents import did_you_mean
from mnist_tune.spec.growth import Growth, grown
from mnist_tune.spec.study_spec import Spec
from mnist_tune.spec.widening import in_one_order, why_not, widening
from mnist_tune.storage.engine import lock
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.storage.keys import CONFIRMS, SPEC, UID, VERSION
from mnist_tune.storage.optuna_internals import (
    studies,
    study_attributes,
    study_directions,
    study_system_attributes,
)
from mnist_tune.storage.statements import find_study_id
from mnist_tune.storage.tables import workers
from mnist_tune.study.finished import Finished, take_over
from mnist_tune.study.open_study import OpenStudy, UnreadableStudy


def create_study(storage: GuardedStorage, spec: Spec, finished: Mapping[int, Finished] | None = None) -> bool:
    """Write the study, its attributes and all its cells in one transaction.

    `finished` has, by cell, trials in the same storage whose results the cells take over. Returns False if
    the same study existed already.

    Raises:
        UserError: another study has this name, or our tables are old and cannot be brought up to date.
    """
    storage.migrate()  # with --reuse the database may be an older version's, or a copy by stock Optuna
    with storage.transaction() as session:
        lock(session.connection())
        stored = _find(session, spec.study.name)
        if stored is None:
            _insert_study(session, spec, finished or {})
            return True
    if stored.spec is None:
        raise UserError(f"{_foreign(spec.study.name)}; give this one another name with --name")
    if differences(in_one_order(stored.spec), in_one_order(spec)):
        if (wanted := widening(stored.spec, spec)) is not None:
            fewer = "cells" if wanted.epochs is None else "epochs"
            raise UserError(
                f"study '{spec.study.name}' exists with fewer {fewer}: {_lacking(stored.spec, wanted)}"
            )
        since = ", and has grown since it was made" if stored.spec.search.revisions else ""
        remedy = why_not(stored.spec, spec) or "give this one another name with --name"
        raise UserError(
            f"study '{spec.study.name}' exists with another spec{since}: "
            f"{'; '.join(differences(stored.spec, spec))}; {remedy}"
        )
    return False


def open_study(storage: GuardedStorage, name: str) -> OpenStudy:
    """Find a study by its name.

    Raises:
        UserError: there is no such study, or another program made it.
        MnistTuneError: its spec is damaged.
    """
    with storage.transaction() as session:
        stored = _find(session, name)
    if stored is None:
        raise UserError(f"no study '{name}' in this storage; {_remedy(name, study_names(storage))}")
    if stored.spec is None:
        raise UserError(_foreign(name))
    storage.deadline.shorten(stored.spec.lease.grace_period)
    return OpenStudy(storage, stored.study_id, stored.spec, stored.uid)


def study_names(storage: GuardedStorage) -> list[str]:
    """The names of the studies that this program made, oldest first."""
    with storage.transaction() as session:
        ours = (
            select(studies.c.study_name)
            .join(study_attributes, study_attributes.c.study_id == studies.c.study_id)
            .where(study_attributes.c.key == SPEC)
            .order_by(studies.c.study_id)
        )
        # A damaged name that is no text is listed too.
        return [name if isinstance(name, str) else repr(name) for name in session.execute(ours).scalars()]


def names_confirming(storage: GuardedStorage, name: str) -> list[str]:
    """The names of the studies that confirm the choice of the study with this name, oldest first."""
    with storage.transaction() as session:
        confirming = (
            select(studies.c.study_name)
            .join(study_attributes, study_attributes.c.study_id == studies.c.study_id)
            .where(study_attributes.c.key == CONFIRMS, study_attributes.c.value_json == json.dumps(name))
            .order_by(studies.c.study_id)
        )
        return [name for name in session.execute(confirming).scalars() if isinstance(name, str)]


def find_study(storage: GuardedStorage, name: str) -> OpenStudy | UnreadableStudy:
    """Find a study by its name, even if its spec cannot be read.

    Raises:
        UserError: there is no such study, or another program made it.
    """
    with storage.transaction() as session:
        found = _attributes(session, name)
    if found is None or SPEC not in found[1]:
        return open_study(storage, name)  # raises an error about the name
    try:
        return open_study(storage, name)
    except MnistTuneError:
        study_id, texts = found
        return UnreadableStudy(storage, study_id, name, _uid(texts.get(UID)))


class _Stored(NamedTuple):
    study_id: int
    spec: Spec | None  # None: another program made the study
    uid: object = None


def _attributes(session: orm.Session, name: str) -> tuple[int, dict[str, Text]] | None:
    """A study's id, and the JSON texts of its spec and uid by key; None if there is no such study."""
    study_id = find_study_id(session, name)
    if study_id is None:
        return None
    ours = study_attributes.c.study_id == study_id, study_attributes.c.key.in_([SPEC, UID])
    rows = session.execute(select(study_attributes.c.key, study_attributes.c.value_json).where(*ours))
    return study_id, {row.key: row.value_json for row in rows}


def _find(session: orm.Session, name: str) -> _Stored | None:
    found = _attributes(session, name)
    if found is None:
        return None
    study_id, stored = found
    if SPEC not in stored:
        return _Stored(study_id, None)
    where = f"the stored spec of study '{name}'"
    try:
        spec = stored_spec(stored[SPEC])
    except Damaged as problem:
        raise MnistTuneError(f"{where} is damaged: {problem}; restore a copy of the study") from None
    # Stock Optuna may have copied it under another name, which then counts.
    spec = spec.model_copy(update={"study": spec.study.model_copy(update={"name": name})})
    return _Stored(study_id, spec, _uid(stored.get(UID)))


def _uid(text: Text) -> object:
    """What is stored as the uid, of whatever type; None if nothing is."""
    try:
        return None if text is None else load(text)
    except Damaged:
        return text


def _foreign(name: str) -> str:
    return f"study '{name}' was not made by mnist-tune"


def _insert_study(session: orm.Session, spec: Spec, finished: Mapping[int, Finished]) -> None:
    attributes = {SPEC: spec.stored(), VERSION: __version__, UID: secrets.token_hex(16)}
    if spec.confirm is not None:
        attributes[CONFIRMS] = spec.confirm.study
    # Optuna's own key: dashboards and plots label the objective with it.
    system_attributes = {"study:metric_names": [spec.description.objective]}
    new = studies.insert().values(study_name=spec.study.name).returning(studies.c.study_id)
    study_id = session.execute(new).scalar_one()
    of_study = {"study_id": study_id}
    direction = of_study | {"objective": 0, "direction": StudyDirection[spec.description.direction.upper()]}
    session.execute(study_directions.insert(), [direction])
    for table, entries in ((study_attributes, attributes), (study_system_attributes, system_attributes)):
        rows = [of_study | {"key": key, "value_json": json.dumps(value)} for key, value in entries.items()]
        session.execute(table.insert(), rows)
    # SQLite reuses ids, and stock Optuna does not clear our table when it deletes a study there.
    session.execute(workers.delete().where(workers.c.study_id == study_id))
    cells, axes = waiting_cells(spec), distributions(spec)
    for cell, source in finished.items():
        if source.point is not None:
            cells[cell] = ticket(axes, cell, source.point)
    trial_ids = insert_waiting(session, study_id, cells)
    for cell, source in finished.items():
        take_over(session, trial_ids[cell], source)


def _lacking(stored: Spec, wanted: Growth) -> str:
    """What a wider spec would add to a study, and how to have it added."""
    revision = grown(stored, wanted).revision
    what = "nothing" if revision is None else revision.told
    other = "" if wanted.epochs is None else ", and --name makes another study of it"
    return f"this spec would add {what}; 'mnist-tune create-study SPEC --extend' does so{other}"


def _remedy(name: str, names: list[str]) -> str:
    return did_you_mean(name, names) if names else "it has none; make one with 'mnist-tune create-study SPEC'"
