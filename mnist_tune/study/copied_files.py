"""Copies the files of a study for a copy of it, so that neither study depends on the other's files.

The copies have names of their own, so that both may be in one folder. With hard links they take no room.
"""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import select
from sqlalchemy.engine import Connection

from mnist_tune.errors import Damaged, MnistTuneError
from mnist_tune.files.atomic_write import link_or_copy
from mnist_tune.files.locations import Folder, Folders, checkpoints_of
from mnist_tune.files.stored_names import inside, is_artifact_id
from mnist_tune.queue.cells import checkpoint_keys
from mnist_tune.records.values import load
from mnist_tune.storage.artifacts import REMOVED, ArtifactFolder
from mnist_tune.storage.keys import LEFT_BEHIND
from mnist_tune.storage.optuna_internals import (
    ARTIFACTS_ATTR_PREFIX,
    study_system_attributes,
    system_attributes,
    trials,
)
from mnist_tune.study.open_study import OpenStudy


@dataclass
class CopiedFiles:
    """Which files a copy has of its own, and which it did not find."""

    uid: str
    """The uid of the copy."""
    artifacts: dict[str, str] = field(default_factory=dict)
    """Ids of artifacts in the copy, by their ids at the source."""
    missing: set[str] = field(default_factory=set)
    """Artifacts and checkpoints that were not found at the source."""
    left: defaultdict[tuple[str, int], list[str]] = field(default_factory=lambda: defaultdict(list))
    """Ids of missing artifacts by their owner in the copy: the name of its id's column, and its id."""
    made: list[Path] = field(default_factory=list)
    folders: Sequence[Folder] = ()
    """The folders for the files of the copy."""

    def take(self, study: OpenStudy, rows: Connection, source: Folders, target: Folders) -> None:
        """Copy the files; `rows` sees the study as the copy will have it.

        Raises:
            MnistTuneError: a file cannot be copied.
        """
        self.folders = target
        keys = checkpoint_keys(rows, [study.study_id])
        try:
            states = checkpoints_of(study.uid, source.checkpoints).path
        except MnistTuneError:  # the uid is damaged, so it names no folder
            self.missing |= keys
            keys.clear()
        for key in keys:  # first, since a worker at the source may replace them
            self._make(key, inside(states, key), inside(target.checkpoints.path / self.uid, key))
        theirs, ours = ArtifactFolder(source.artifacts.path), ArtifactFolder(target.artifacts.path)
        for artifact in _artifacts(rows, study.study_id):
            own = str(uuid.uuid5(uuid.UUID(hex=self.uid), artifact))
            if self._make(artifact, theirs.path(artifact), ours.path(own)):
                self.artifacts[artifact] = own

    def renamed(self, row: dict[str, Any], owner: str) -> dict[str, Any] | None:
        """A row of system attributes with its file's name in the copy; None if the copy must not have it.

        `owner` is the column that says whose attribute it is.
        """
        key = str(row["key"])
        artifact = key.removeprefix(ARTIFACTS_ATTR_PREFIX)
        if key == LEFT_BEHIND:
            return None  # the copy gets new ones from `left_behind`
        if artifact == key:
            return row
        if artifact in self.missing:
            self.left[owner, row[owner]].append(artifact)
        if artifact not in self.artifacts:
            return row
        own = self.artifacts[artifact]
        try:
            meta = load(load(row["value_json"])) | {"artifact_id": own}
        except (Damaged, TypeError):  # a damaged row still names no file
            return row
        return row | {"key": ARTIFACTS_ATTR_PREFIX + own, "value_json": json.dumps(json.dumps(meta))}

    def left_behind(self, owner: str) -> list[dict[str, Any]]:
        """Rows of system attributes that say which files belong to the original alone."""
        return [
            {owner: whose, "key": LEFT_BEHIND, "value_json": json.dumps(sorted(artifacts))}
            for (column, whose), artifacts in self.left.items()
            if column == owner
        ]

    def discard(self) -> None:
        """Delete the files that were made."""
        for path in self.made:
            with suppress(OSError):
                path.unlink()
                if path.parent.name == self.uid:
                    path.parent.rmdir()
        for folder in self.folders:
            with suppress(OSError):
                folder.clear_up()

    def _make(self, name: str, source: Path, target: Path) -> bool:
        try:
            with suppress(FileNotFoundError):
                source.lstat()
                link_or_copy(source, target)
                self.made.append(target)
                return True
        except OSError as error:
            where = error.filename2 or error.filename or target
            raise MnistTuneError(f"{where}: {error.strerror or error}; the study was not copied") from None
        self.missing.add(name)
        return False


@contextmanager
def copied_files(uid: str) -> Iterator[CopiedFiles]:
    """Files for a copy with this uid; they are deleted again if the block fails."""
    files = CopiedFiles(uid)
    try:
        yield files
    except BaseException:
        files.discard()
        raise


def _artifacts(rows: Connection, study_id: int) -> set[str]:
    """The ids of the artifacts of the study and its trials, without those that were removed."""
    of_trials = select(system_attributes.c.key).join(
        trials, trials.c.trial_id == system_attributes.c.trial_id
    )
    found: set[str] = set()
    for keys, table, in_study in (
        (of_trials, system_attributes, trials.c.study_id == study_id),
        (
            select(study_system_attributes.c.key),
            study_system_attributes,
            study_system_attributes.c.study_id == study_id,
        ),
    ):
        is_file = sqlalchemy.and_(
            table.c.key.startswith(ARTIFACTS_ATTR_PREFIX, autoescape=True),
            table.c.value_json != REMOVED,
        )
        found.update(rows.execute(keys.where(in_study, is_file)).scalars())
    ids = {key.removeprefix(ARTIFACTS_ATTR_PREFIX) for key in found}
    return {artifact for artifact in ids if is_artifact_id(artifact)}
