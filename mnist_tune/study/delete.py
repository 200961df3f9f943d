"""Deletes a study, and the files that were kept for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import sqlalchemy
from sqlalchemy import orm, select

from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.files.locations import Folder, Folders, checkpoints_of
from mnist_tune.queue.trial_rows import delete_study_rows
from mnist_tune.storage.artifacts import REMOVED, ArtifactFolder, owned_ids
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.storage.keys import LEFT_BEHIND
from mnist_tune.storage.optuna_internals import (
    ARTIFACTS_ATTR_PREFIX,
    study_system_attributes,
    system_attributes,
    trials,
)
from mnist_tune.storage.statements import studies_with
from mnist_tune.study.open_study import OpenStudy, UnreadableStudy


@dataclass
class Deleted:
    """What was deleted with a study, and what could not be."""

    files: int = 0
    """How many files were deleted: weights, logs, and files that people have added in the dashboard."""
    problems: list[str] = field(default_factory=list)


def delete_study(study: OpenStudy | UnreadableStudy) -> None:
    """Delete a study with all its trials. Workers that still write to it find that their leases are lost."""
    delete_study_rows(study.storage, study.study_id)


def delete_study_and_files(study: OpenStudy | UnreadableStudy, folders: Folders) -> Deleted:
    """Delete a study, its checkpoints, its trials' weights and logs, and the files added to it.

    Files that another study in the storage has too stay, and so do files that a copy left with its original.

    Raises:
        UserError: the study's folder is shared with another database; nothing was deleted.
    """
    for folder in folders:
        if folder.shared_with:
            raise UserError(
                f"{folder.path}: is also the folder of {' and '.join(folder.shared_with)}, as version 0.5.0 "
                "named it, so that whose a file is cannot be known; leave out --files, or give each database "
                "a folder of its own first"
            )
    with study.storage.transaction() as session:
        owned = _owned(session, study.study_id)
    delete_study(study)  # first, so that no trial ever points to a deleted file
    deleted = Deleted()
    with study.storage.transaction() as session:
        owned -= {artifact for some in _batches(sorted(owned)) for artifact in _in_use(session, some)}
    for artifact in owned:
        _delete_artifact(ArtifactFolder(folders.artifacts.path), artifact, deleted)
    _delete_checkpoints(study, folders.checkpoints, deleted)
    for folder in folders:
        with suppress(OSError):  # an empty folder does no harm
            folder.clear_up()
    return deleted


def may_remove(storage: GuardedStorage, study_id: int, artifact: str, folder: Folder) -> bool:
    """Whether a file that is listed for a study belongs to it alone, so that it may be deleted."""
    if folder.shared_with:
        return False
    key = ARTIFACTS_ATTR_PREFIX + artifact
    with storage.transaction() as session:
        others = 0
        for table in (system_attributes, study_system_attributes):
            listed = table.c.key == key, table.c.value_json != REMOVED
            others += len(session.execute(select(table.c.key).where(*listed).limit(2)).all())
        return others == 1 and artifact in _owned(session, study_id)


def _owned(session: orm.Session, study_id: int) -> set[str]:
    """The ids of the artifacts that this study and its trials list and own."""
    ours = f"{ARTIFACTS_ATTR_PREFIX}%"
    owned: set[str] = set()
    of_trials = (
        select(trials.c.trial_id, system_attributes.c.key, system_attributes.c.value_json)
        .join(trials, trials.c.trial_id == system_attributes.c.trial_id)
        .where(trials.c.study_id == study_id)
    )
    table = study_system_attributes
    of_study = select(table.c.study_id, table.c.key, table.c.value_json).where(table.c.study_id == study_id)
    for statement, keys in ((of_trials, system_attributes.c.key), (of_study, table.c.key)):
        wanted = statement.where(sqlalchemy.or_(keys.like(ours), keys == LEFT_BEHIND))
        of_each: dict[int, dict[str, str]] = {}
        for owner, key, value in session.execute(wanted):
            of_each.setdefault(owner, {})[key] = value
        for attributes in of_each.values():
            owned |= owned_ids(attributes)
    return owned


def _in_use(session: orm.Session, ids: Sequence[str]) -> set[str]:
    """Those of the artifacts `ids` that a study or trial in the storage still lists."""
    keys = [ARTIFACTS_ATTR_PREFIX + artifact for artifact in ids]
    found: set[str] = set()
    for table in (system_attributes, study_system_attributes):
        listed = table.c.key.in_(keys), table.c.value_json != REMOVED
        found.update(session.execute(select(table.c.key).where(*listed).distinct()).scalars())
    return {key.removeprefix(ARTIFACTS_ATTR_PREFIX) for key in found}


def _delete_artifact(folder: ArtifactFolder, artifact: str, deleted: Deleted) -> None:
    try:
        folder.path(artifact).unlink()
        deleted.files += 1
    except FileNotFoundError:  # on another machine, or never kept
        return
    except OSError as error:
        deleted.problems.append(f"{folder.path(artifact)}: {error.strerror or error}")


def _delete_checkpoints(study: OpenStudy | UnreadableStudy, folder: Folder, deleted: Deleted) -> None:
    try:
        with study.storage.transaction() as session:
            if studies_with(session, study.uid):  # a copy by stock Optuna has the same uid
                return
        states = checkpoints_of(study.uid, folder)
        for key in states.keys():  # noqa: SIM118 - a store, no mapping
            states.delete(key)
        states.remove_if_empty()
    except MnistTuneError as error:  # the stored uid is damaged, so it names no folder
        deleted.problems.append(f"no checkpoint was deleted: {error}")
    except OSError as error:
        deleted.problems.append(f"{error.filename or folder.path}: {error.strerror or error}")


def _batches(ids: Sequence[str], size: int = 500) -> Iterator[Sequence[str]]:
    # Databases limit how many values a statement may have.
    return (ids[start : start + size] for start in range(0, len(ids), size))
