"""A study with all its trials from one storage into another, whatever the two databases are.

Not `optuna.copy_study`, which writes trial by trial: killed, it leaves half a study, and what runs at the
source would seem to run in the copy for ever.
"""

from __future__ import annotations

import json
import secrets
from collections import defaultdict
from typing import NamedTuple

import sqlalchemy
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import orm, select
from sqlalchemy.engine import URL, Connection

from mnist_tune.attributes import CELL, CHECKPOINT, SPEC, UID
from mnist_tune.cells import fail, put_back
from mnist_tune.database import lock, shown, snapshot
from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.failures import Failure
from mnist_tune.rows import heartbeats, study_attributes, system_attributes, trials
from mnist_tune.sections import Retry
from mnist_tune.spec import Spec
from mnist_tune.storage import GuardedStorage, open_storage
from mnist_tune.studies import OpenStudy

BATCH = 1000
"""How many rows are in memory at a time."""
CUT_OFF = Failure("preempted", "copied while it ran at the source")


class Copied(NamedTuple):
    """What a copy is made of."""

    name: str
    trials: int
    """As many as the source has."""
    put_back: int
    """How many of them ran there and wait again here, each as a further trial."""


def copy_study(study: OpenStudy, url: URL, name: str | None = None) -> Copied:
    """Copy a study, as it is at one moment, into the storage at `url`, under its own or another name.

    Under its own name it is the same study, which goes on from the same checkpoints: a move or a backup.

    The copy is one transaction, and the source is only read. An attempt that runs there cannot run on
    here: in the copy it has failed, and its cell waits again if its budget allows.

    Raises:
        UserError: the target cannot be used or has a study of that name, or `name` cannot be one.
        MnistTuneError: the study was deleted meanwhile.
    """
    spec = study.spec.named(name)
    storage = open_storage(url, create=True)
    with study.storage.engine.connect() as source, storage.transaction() as target:
        lock(target.connection())
        if models.StudyModel.find_by_name(spec.study.name, target) is not None:
            raise UserError(
                f"{shown(url)}: has a study '{spec.study.name}' already; "
                "give the copy another name with --name"
            )
        snapshot(source)
        ids = _copy_rows(source, target, study.study_id, spec.study.name)
        if study.study_id not in ids["study_id"]:
            raise MnistTuneError(f"study '{study.name}' was deleted before it could be copied")
        study_id = ids["study_id"][study.study_id]
        if spec != study.spec:
            _make_another(target, study_id, spec)
        put_back = _put_back_running(storage, target, study_id, spec.retry)
    return Copied(spec.study.name, len(ids["trial_id"]), put_back)


def _copy_rows(
    source: Connection, target: orm.Session, study_id: int, name: str
) -> defaultdict[str, dict[int, int]]:
    """Copy the study's rows of all tables; the target's ids by the key column's name and the source's id."""
    ids: defaultdict[str, dict[int, int]] = defaultdict(dict)
    replaced = {"study_name": name}
    trial_ids = select(trials.c.trial_id).where(trials.c.study_id == study_id)
    for table in models.BaseModel.metadata.sorted_tables:  # parents first
        if table is heartbeats:  # signs of life of workers that are not the copy's
            continue
        if "study_id" in table.c:
            in_study = table.c.study_id == study_id
        elif "trial_id" in table.c:
            in_study = table.c.trial_id.in_(trial_ids)
        else:
            continue
        (key,) = table.primary_key
        # The database assigns the ids, so that it goes on from them.
        insert = table.insert().returning(key, sort_by_parameter_order=True)
        found = select(table).where(in_study).order_by(key).execution_options(yield_per=BATCH)
        for batch in source.execute(found).mappings().partitions():
            copies = [
                {
                    column: ids[column][value] if column in ids else replaced.get(column, value)
                    for column, value in row.items()
                    if column != key.name
                }
                for row in batch
            ]
            new_ids = target.execute(insert, copies).scalars()
            ids[key.name].update(zip((row[key] for row in batch), new_ids, strict=True))
    return ids


def _make_another(target: orm.Session, study_id: int, spec: Spec) -> None:
    """Make the copy a study in its own right: under another name, both may go on, each with its own files."""
    for key, value in ((SPEC, spec.document()), (UID, secrets.token_hex(16))):
        stored = sqlalchemy.and_(study_attributes.c.study_id == study_id, study_attributes.c.key == key)
        target.execute(study_attributes.update().where(stored).values(value_json=json.dumps(value)))
    in_copy = system_attributes.c.trial_id.in_(select(trials.c.trial_id).where(trials.c.study_id == study_id))
    pointers = system_attributes.delete().where(in_copy, system_attributes.c.key == CHECKPOINT)
    target.execute(pointers)


def _put_back_running(storage: GuardedStorage, target: orm.Session, study_id: int, retry: Retry) -> int:
    """FAIL what runs in the copy and append its cells anew, as far as their budgets allow; how many."""
    running = select(trials.c.trial_id).where(
        trials.c.study_id == study_id, trials.c.state == TrialState.RUNNING
    )
    waiting_again = 0
    for trial_id in target.execute(running.order_by(trials.c.trial_id)).scalars().all():
        fail(target, trial_id, CUT_OFF, sqlalchemy.true())
        attempt = storage.frozen(target, trial_id)
        # A trial without a cell is not ours to run.
        if CELL in attempt.system_attrs and put_back(target, study_id, attempt, CUT_OFF.kind, retry):
            waiting_again += 1
    return waiting_again
