"""Studies with files: checkpoints, weights and logs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy
import safetensors.numpy

from mnist_tune.failures import Failure
from mnist_tune.files.checkpoints import checkpoint_key, save
from mnist_tune.files.locations import Folders, checkpoints_of
from mnist_tune.storage.artifacts import ArtifactFolder, upload
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.storage.keys import CHECKPOINT, UID
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import open_study
from tests.support.studies import take

STATE = b"weights"
MODEL = safetensors.numpy.save({"weights": numpy.zeros(10, dtype="float32")})


def fill_with_files(study: OpenStudy, places: Folders) -> None:
    """Make a complete trial with its files, and one that was stopped after an epoch."""
    queue = study.queue()
    complete, stopped = take(queue), take(queue)
    files = {"model.safetensors": MODEL, "log.txt": b"done\n"}
    queue.complete(
        complete, 90.0, system=upload(ArtifactFolder(places.artifacts.path), complete.token, files)
    )
    key = checkpoint_key(stopped.trial_id, stopped.token, 1)
    checkpoint = save(checkpoints_of(study.uid, places.checkpoints), key, 1, STATE)
    queue.record(stopped, system={CHECKPOINT: asdict(checkpoint)})
    assert queue.give_back(stopped, Failure("preempted", "stopped"))


def open_study_at(path: Path, name: str = "tiny") -> OpenStudy:
    return open_study(open_storage(storage_url(f"sqlite:///{path}")), name)


def files_beside_database(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("studies.db")}


def set_uid(study: OpenStudy, uid: object) -> OpenStudy:
    study.storage.set_study_user_attr(study.study_id, UID, uid)
    return open_study(study.storage, study.name)
