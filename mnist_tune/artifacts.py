"""Final files of a trial as Optuna artifacts: what optuna-dashboard lists beside it.

The files are written first, and what points to them is stored with the end of the trial, in one transaction:
Optuna's `upload_artifact` does it the other way round, and a crash between the two leaves a broken link.
"""

from __future__ import annotations

import io
import json
import mimetypes
import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from optuna.artifacts import ArtifactMeta, FileSystemArtifactStore
from optuna.artifacts._upload import ARTIFACTS_ATTR_PREFIX, DEFAULT_MIME_TYPE


class ArtifactFolder(FileSystemArtifactStore):
    """Optuna's store in a folder, with files that are there whole or not at all, and survive a power cut."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._folder = path

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._folder / f"{artifact_id}.tmp"
        try:
            super().write(temporary.name, content_body)
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(self._folder / artifact_id)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def upload(store: ArtifactFolder, token: str, files: Mapping[str, bytes]) -> dict[str, str]:
    """Write the files, by name, of the attempt with this claim token; the attributes that point to them.

    Done again, it replaces what it wrote before. Raises OSError.
    """
    attributes = {}
    for name, content in files.items():
        artifact_id = str(uuid.uuid5(uuid.UUID(hex=token), name))
        store.write(artifact_id, io.BytesIO(content))
        mimetype, encoding = mimetypes.guess_type(name)
        meta = ArtifactMeta(artifact_id, name, mimetype or DEFAULT_MIME_TYPE, encoding)
        attributes[ARTIFACTS_ATTR_PREFIX + artifact_id] = json.dumps(asdict(meta))
    return attributes
