"""Final files of a trial as Optuna artifacts, which optuna-dashboard lists with the trial.

The files are written first. The attributes that point to them are stored with the end of the trial, in one
transaction. Optuna's `upload_artifact` stores the pointer on its own: a crash in between breaks the link.
"""

from __future__ import annotations

import io
import json
import mimetypes
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from optuna.artifacts import ArtifactMeta, FileSystemArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound

from mnist_tune.files import stored_names
from mnist_tune.files.atomic_write import TEMPORARY, open_file, write_whole
from mnist_tune.storage.keys import LEFT_BEHIND
from mnist_tune.storage.optuna_internals import ARTIFACTS_ATTR_PREFIX

DAY = 86_400.0
"""In seconds. No file takes longer to be written, however much the clocks of two machines differ."""
REMOVED = json.dumps("null")
"""The stored value of a file's attribute when the file has been removed."""


class ArtifactFolder(FileSystemArtifactStore):
    """Optuna's artifact store in a folder; its files are whole or missing, and survive a power cut.

    An id that is not a UUID is refused with a ValueError, as Optuna refuses one that leads out of the folder.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self._folder = folder

    def path(self, artifact_id: str) -> Path:
        """Where the file of an artifact lies. Raises ValueError for what is not the id of an artifact."""
        return stored_names.inside(self._folder, stored_names.artifact_id(artifact_id))

    def open(self, artifact_id: str) -> BinaryIO:
        """Open an artifact's file to read. Raises OSError, and ValueError as `path` does."""
        return open_file(self.path(artifact_id))

    def open_reader(self, artifact_id: str) -> BinaryIO:
        try:
            return self.open(artifact_id)
        except FileNotFoundError:
            raise ArtifactNotFound("not found") from None

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        write_whole(self.path(artifact_id), content_body.read())

    def clear_up(self) -> None:
        """Delete unfinished files of processes that died a day or longer ago. Raises OSError."""
        latest = time.time() - DAY
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            left = TEMPORARY.fullmatch(path.name)
            if left and stored_names.is_artifact_id(left["name"]) and path.lstat().st_mtime < latest:
                path.unlink(missing_ok=True)

    def _get_filepath(self, artifact_id: str) -> Path:
        return self.path(artifact_id)  # Optuna's own methods ask for it


def upload(store: ArtifactFolder, token: str, files: Mapping[str, bytes]) -> dict[str, str]:
    """Write files, given by name, for the attempt with this claim token; returns attributes that list them.

    A second call replaces what the first one wrote. Raises OSError.
    """
    attributes: dict[str, str] = {}
    for name, content in files.items():
        artifact = artifact_of(token, name)
        store.write(artifact.artifact_id, io.BytesIO(content))
        attributes |= pointer_to(artifact)
    return attributes


def artifact_of(token: str, name: str) -> ArtifactMeta:
    """The artifact that is the file of this name of the attempt with this claim token."""
    artifact_id = str(uuid.uuid5(uuid.UUID(hex=token), name))
    mimetype, encoding = mimetypes.guess_type(name)
    return ArtifactMeta(artifact_id, name, mimetype or "application/octet-stream", encoding)


def pointer_to(artifact: ArtifactMeta) -> dict[str, str]:
    """The attribute of a trial that lists an artifact."""
    return {ARTIFACTS_ATTR_PREFIX + artifact.artifact_id: json.dumps(asdict(artifact))}


def owned_ids(stored: Mapping[str, str]) -> set[str]:
    """The ids of the artifacts that a trial or study owns and may delete; `stored` has the JSON by attribute.

    Left out are files that a copy left behind, files that have been removed, and ids that are not ours.
    """
    found = {
        key.removeprefix(ARTIFACTS_ATTR_PREFIX)
        for key, value in stored.items()
        if key.startswith(ARTIFACTS_ATTR_PREFIX) and value != REMOVED
    }
    left = stored.get(LEFT_BEHIND, "")
    return {artifact for artifact in found if stored_names.is_artifact_id(artifact) and artifact not in left}
