"""Copies a study with all its trials from one storage into another, of any two kinds.

`optuna.copy_study` writes trial by trial: killed, it leaves half a study, and trials that run at the source
would seem to run in the copy for ever.
"""

from __future__ import annotations

import json
import secrets
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import sqlalchemy
from optuna.trial import TrialState
from sqlalchemy import orm, select
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DBAPIError, StatementError

from mnist_tune.errors import Damaged, MnistTuneError, UserError
from mnist_tune.failures import Failure
from mnist_tune.files.locations import Folders
from mnist_tune.queue.cells import cells_of
from mnist_tune.queue.retries import fail, put_back
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.engine import lock, shown, snapshot
from mnist_tune.storage.guarded import open_storage
from mnist_tune.storage.keys import SPEC, UID
from mnist_tune.storage.optuna_internals import (
    TABLES,
    heartbeats,
    study_attributes,
    study_system_attributes,
    system_attributes,
    trials,
)
from mnist_tune.storage.statements import find_study_id, upsert
from mnist_tune.storage.tables import epochs, has_table
from mnist_tune.study.copied_files import CopiedFiles, copied_files
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.text.wording import first_line

BATCH = 1000
"""How many rows are in memory at a time."""
CUT_OFF = Failure("preempted", "copied while it ran at the source")


class Copied(NamedTuple):
    """What was copied."""

    name: str
    trials: int
    """How many trials the copy has; the source has as many."""
    put_back: int
    """How many trials ran at the source; each has a further, waiting trial in the copy."""
    files: int = 0
    """How many files (weights, logs and checkpoints) the copy has of its own."""
    missing: int = 0
    """How many files were not found, and belong to the original alone."""


def copy_study(
    study: OpenStudy,
    url: URL,
    name: str | None = None,
    source: Folders | None = None,
    target: Folders | None = None,
) -> Copied:
    """Copy a study, as it is at one moment, into the storage at `url`, under its own or another name.

    The copy goes on from its own copies of the checkpoints. The original's files are looked for in the
    folders `source`, and copied to the folders `target`; by default these are the storages' own folders. The
    copy is one transaction, and the source is only read. An attempt that runs at the source cannot go on in
    the copy: there it has failed, and its cell waits again if its budget allows.

    Raises:
        UserError: the target cannot be used or has a study of that name, or `name` is not allowed.
        MnistTuneError: the study was deleted meanwhile, or a file or a value of it cannot be copied.
    """
    copied_as = study.spec.named(name).study.name
    source, target = source or Folders.of(study.storage.engine.url), target or Folders.of(url)
    storage = open_storage(url, create=True)
    with storage.transaction() as session:
        _refuse_second(session, url, copied_as)  # before files are copied in vain
    with study.storage.engine.connect() as original, copied_files(secrets.token_hex(16)) as files:
        snapshot(original)
        now = study.spec_in(original)
        spec = now.named(name)
        files.take(study, original, source, target)
        with storage.transaction() as copy:
            lock(copy.connection())
            _refuse_second(copy, url, copied_as)
            with _values_of(study):
                ids = _copy_rows(original, copy, study.study_id, copied_as, files)
            if study.study_id not in ids["study_id"]:
                raise MnistTuneError(f"study '{study.name}' was deleted before it could be copied")
            study_id = ids["study_id"][study.study_id]
            renamed = {} if spec == now else {SPEC: spec.stored()}
            _make_its_own(copy, study_id, {UID: files.uid, **renamed})
            with _values_of(study):
                put_back = _put_back_running(copy, study_id, spec)
    return Copied(copied_as, len(ids["trial_id"]), put_back, len(files.made), len(files.missing))


@contextmanager
def _values_of(study: OpenStudy) -> Iterator[None]:
    """Turn an error about a damaged value into one that names its study."""
    try:
        yield
    except (LookupError, TypeError, ValueError, StatementError) as error:
        if isinstance(error, DBAPIError):
            raise
        raise MnistTuneError(
            f"study '{study.name}' cannot be copied: {first_line(str(error))}; "
            f"'mnist-tune verify {study.name}' says what of it is damaged"
        ) from None


def _refuse_second(target: orm.Session, url: URL, name: str) -> None:
    if find_study_id(target, name) is not None:
        raise UserError(f"{shown(url)}: has a study '{name}' already; give the copy another name with --name")


def _copy_rows(
    source: Connection, target: orm.Session, study_id: int, name: str, files: CopiedFiles
) -> defaultdict[str, dict[int, int]]:
    """Copy the study's rows of all tables; returns the target's ids by key column and by the source's id."""
    ids: defaultdict[str, dict[int, int]] = defaultdict(dict)
    replaced = {"study_name": name}
    trial_ids = select(trials.c.trial_id).where(trials.c.study_id == study_id)
    owners = {study_system_attributes: "study_id", system_attributes: "trial_id"}
    for table in TABLES.sorted_tables:  # parents first
        if table is heartbeats:  # heartbeats of workers that are not the copy's
            continue
        if "study_id" in table.c:
            in_study = table.c.study_id == study_id
        elif "trial_id" in table.c:
            in_study = table.c.trial_id.in_(trial_ids)
        else:
            continue
        (key,) = table.primary_key
        # The target assigns the ids, so that its sequence goes on after them.
        insert = table.insert().returning(key, sort_by_parameter_order=True)
        found = select(table).where(in_study).order_by(key).execution_options(yield_per=BATCH)
        for batch in source.execute(found).mappings().partitions():
            copies: dict[int, dict[str, Any] | None] = {
                row[key]: {
                    column: ids[column][value] if column in ids else replaced.get(column, value)
                    for column, value in row.items()
                    if column != key.name
                }
                for row in batch
            }
            if owner := owners.get(table):
                copies = {row: files.renamed(copy, owner) for row, copy in copies.items() if copy}
            kept = {row: copy for row, copy in copies.items() if copy}
            if kept:
                new_ids = target.execute(insert, list(kept.values())).scalars()
                ids[key.name].update(zip(kept, new_ids, strict=True))
    _copy_epochs(source, target, study_id, ids["trial_id"])
    for table, owner in owners.items():
        if rows := files.left_behind(owner):
            target.execute(table.insert(), rows)
    return ids


def _copy_epochs(source: Connection, target: orm.Session, study_id: int, trial_ids: dict[int, int]) -> None:
    """Copy the epochs of the study's trials; `trial_ids` has the ids in the copy by those at the source."""
    if not has_table(source, epochs):  # an older version's trials have an attribute instead
        return
    in_study = epochs.c.trial_id.in_(select(trials.c.trial_id).where(trials.c.study_id == study_id))
    found = select(epochs).where(in_study).execution_options(yield_per=BATCH)
    for batch in source.execute(found).mappings().partitions():
        copies = [{**row, "trial_id": trial_ids[row["trial_id"]]} for row in batch]
        target.execute(epochs.insert(), copies)


def _make_its_own(target: orm.Session, study_id: int, attributes: dict[str, Any]) -> None:
    """Give the copy attributes of its own, since both studies may go on."""
    rows = [
        {"study_id": study_id, "key": key, "value_json": json.dumps(value)}
        for key, value in attributes.items()
    ]
    upsert(target, study_attributes, ("study_id", "key"), rows)


def _put_back_running(target: orm.Session, study_id: int, spec: Spec) -> int:
    """Fail the trials that run in the copy, and put their cells back if budgets allow; returns how many."""
    running = select(trials.c.trial_id).where(
        trials.c.study_id == study_id, trials.c.state == TrialState.RUNNING
    )
    # A trial without a cell is failed, but not put back.
    of_cells = set(target.execute(running.where(cells_of(study_id, TrialState.RUNNING))).scalars())
    waiting_again = 0
    for trial_id in target.execute(running.order_by(trials.c.trial_id)).scalars().all():
        fail(target, trial_id, CUT_OFF, sqlalchemy.true())
        with suppress(Damaged):  # what cannot be read cannot be tried again
            if trial_id in of_cells and put_back(target, study_id, trial_id, CUT_OFF.kind, spec):
                waiting_again += 1
    return waiting_again
