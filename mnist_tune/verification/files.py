"""Checks of the files that rows point to: artifacts of finished trials, checkpoints of unfinished ones."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from optuna.artifacts import ArtifactMeta
from optuna.trial import FrozenTrial, TrialState
from safetensors import SafetensorError, safe_open

from mnist_tune.files import stored_names
from mnist_tune.files.atomic_write import open_file
from mnist_tune.files.checkpoints import Checkpoint, CheckpointFolder, CheckpointUnusable, load
from mnist_tune.storage.keys import (
    CHECKPOINT,
    ENVIRONMENT,
    LAST_CHECKPOINT,
    LEFT_BEHIND,
    NOT_KEPT,
    UID,
    WEIGHTS,
)
from mnist_tune.storage.optuna_internals import ARTIFACTS_ATTR_PREFIX, trial_id_of
from mnist_tune.verification.stored import Stored, StoredAttempt, host_of


def kept_here(stored: Stored, _: None) -> Iterator[str]:
    """The folder of artifacts is on this machine."""
    listed = any(attempt.artifacts for attempt in stored.attempts)
    if listed and not stored.artifacts.is_dir():
        yield f"{stored.artifacts} is not here: no file was checked; name its place with --artifacts"


def kept(_: Stored, attempt: StoredAttempt) -> Iterator[str]:
    """The log of each finished attempt was kept and, if it is complete, its weights."""
    lost = attempt.trial.user_attrs.get(NOT_KEPT)
    if isinstance(lost, dict) and WEIGHTS in lost:
        yield f"its weights could not be kept: {lost[WEIGHTS]}"
    elif ENVIRONMENT in attempt.trial.user_attrs and not attempt.artifacts:
        yield "no file of it was kept: its worker could not write to its folder of artifacts"


def whole(stored: Stored, attempt: StoredAttempt) -> Iterator[str]:
    """Every kept file of an attempt exists, and every model can be read to its end."""
    for artifact, path in _files(stored, attempt):
        try:
            length = _length(path)
        except FileNotFoundError:
            if not _is_elsewhere(stored, attempt, artifact):
                yield f"{artifact.filename} is missing: there is no {path}"
            continue
        except OSError as error:
            yield f"{artifact.filename} cannot be read: {path}: {error.strerror or error}"
            continue
        if length == 0:
            yield f"{artifact.filename} is empty: {path}"
        elif artifact.filename.endswith(".safetensors"):
            try:
                with safe_open(path, framework="numpy"):  # opening compares the header with the file's length
                    pass
            except SafetensorError as error:
                yield f"{artifact.filename} is damaged: {path}: {error}"


def here(stored: Stored, _: None) -> Iterator[str]:
    """All kept files are in one folder, on this machine."""
    if not stored.artifacts.is_dir():  # `kept_here` reports it
        return
    absent = [
        (attempt, artifact)
        for attempt in stored.attempts
        for artifact, path in _files(stored, attempt)
        if not path.exists() and _is_elsewhere(stored, attempt, artifact)
    ]
    if absent:
        left = any(artifact.artifact_id in _left_behind(attempt) for attempt, artifact in absent)
        hosts = {host_of(attempt.trial) for attempt, _ in absent}
        where = (
            "with the study that this is a copy of"
            if left
            else f"where {' and '.join(sorted(hosts))} put them"
        )
        files = "1 file lies" if len(absent) == 1 else f"{len(absent)} files lie"
        yield f"{files} not in {stored.artifacts} but {where}: name that folder with --artifacts"


def named(_: Stored, attempt: StoredAttempt) -> Iterator[str]:
    """Every stored name of a file is a valid one, and leads to no other file."""
    attributes = attempt.trial.system_attrs
    for key in attributes:
        if key.startswith(ARTIFACTS_ATTR_PREFIX) and attributes[key] != "null":
            listed = json.loads(attributes[key])["artifact_id"]
            yield from _wrong(stored_names.artifact_id, listed)
            if listed != key.removeprefix(ARTIFACTS_ATTR_PREFIX):
                yield from _wrong(stored_names.artifact_id, key.removeprefix(ARTIFACTS_ATTR_PREFIX))
    for key in (CHECKPOINT, LAST_CHECKPOINT):
        if key in attributes:
            yield from _wrong(stored_names.checkpoint_key, attributes[key]["key"])


def identified(stored: Stored, _: None) -> Iterator[str]:
    """The study has a uid, which names its folder of checkpoints."""
    if (uid := stored.study_attributes.get(UID)) is not None:  # version 0.1 stored no uid
        yield from _wrong(stored_names.study_uid, uid)


def pointer_of(trial: FrozenTrial) -> dict[str, Any] | None:
    """The pointer to the state that an unfinished trial goes on from, or that a complete one keeps."""
    complete, unfinished = trial.state is TrialState.COMPLETE, not trial.state.is_finished()
    key = LAST_CHECKPOINT if complete else CHECKPOINT
    found: dict[str, Any] | None = trial.system_attrs.get(key) if complete or unfinished else None
    return found


def resumable(stored: Stored, attempt: StoredAttempt) -> Iterator[str]:
    """The checkpoint of each unfinished attempt, and each that is kept, is there and unchanged."""
    pointer = pointer_of(attempt.trial)
    assert pointer is not None
    uid = stored.study_attributes.get(UID) or stored.spec.study.name
    try:
        folder = CheckpointFolder(stored_names.inside(stored.checkpoints, str(uid)))
    except OSError:  # `identified` reports it
        return
    try:
        load(folder, Checkpoint(**pointer))
    except CheckpointUnusable as problem:
        now = stored.trial_now(trial_id_of(attempt.trial))
        # If its worker has gone on meanwhile, the file was deleted after its pointer.
        if pointer_of(now) == pointer:
            yield f"{problem}; the cell would begin at the first epoch"


def _files(stored: Stored, attempt: StoredAttempt) -> Iterator[tuple[ArtifactMeta, Path]]:
    """The files that an attempt lists, with their paths; `named` reports names that are not ours."""
    for listed in attempt.artifacts:  # `get_all_artifact_meta` would read the storage for each trial
        artifact = ArtifactMeta(**json.loads(listed))
        if stored_names.is_artifact_id(artifact.artifact_id):
            yield artifact, stored_names.inside(stored.artifacts, artifact.artifact_id)


def _length(path: Path) -> int:
    with open_file(path) as content:
        return os.fstat(content.fileno()).st_size


def _is_elsewhere(stored: Stored, attempt: StoredAttempt, artifact: ArtifactMeta) -> bool:
    """Whether a missing file is no fault: it is another study's, or on its worker's machine."""
    if artifact.artifact_id in _left_behind(attempt):
        return True
    host = host_of(attempt.trial)
    return host not in stored.hosts_of_files | {"", socket.gethostname()}


def _left_behind(attempt: StoredAttempt) -> list[str]:
    left: list[str] = attempt.trial.system_attrs.get(LEFT_BEHIND, [])
    return left


def _wrong(check: Callable[[object], str], name: object) -> Iterator[str]:
    try:
        check(name)
    except ValueError as error:
        yield str(error)
