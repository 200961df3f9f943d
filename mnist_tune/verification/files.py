"""Checks of the files that rows point to: artifacts of what is complete, checkpoints of what is not."""

from __future__ import annotations

import json
from collections.abc import Iterator

from optuna.artifacts import ArtifactMeta
from safetensors import SafetensorError, safe_open

from mnist_tune.attributes import CHECKPOINT, ENVIRONMENT, NOT_KEPT, UID
from mnist_tune.checkpoints import Checkpoint, CheckpointFolder, CheckpointUnusable, load
from mnist_tune.losses import WEIGHTS
from mnist_tune.verification.stored import Attempt, Stored


def kept_here(stored: Stored, _: None) -> Iterator[str]:
    """The folder of the files that were kept is on this machine."""
    listed = any(attempt.artifacts for attempt in stored.attempts)
    if listed and not stored.artifacts.is_dir():
        yield f"{stored.artifacts} is not here: no file was checked; name its place with --artifacts"


def kept(_: Stored, attempt: Attempt) -> Iterator[str]:
    """The log of each finished attempt was kept and, if it is complete, its weights."""
    lost = attempt.trial.user_attrs.get(NOT_KEPT)
    if isinstance(lost, dict) and WEIGHTS in lost:
        yield f"its weights could not be kept: {lost[WEIGHTS]}"
    elif ENVIRONMENT in attempt.trial.user_attrs and not attempt.artifacts:
        yield "no file of it was kept: its worker could not write to its folder of artifacts"


def whole(stored: Stored, attempt: Attempt) -> Iterator[str]:
    """Every file that was kept of an attempt is there, and every model can be read to its end."""
    for stored_artifact in attempt.artifacts:  # `get_all_artifact_meta` would read the storage for each trial
        artifact = ArtifactMeta(**json.loads(stored_artifact))
        path = stored.artifacts / artifact.artifact_id
        if not path.is_file():
            yield f"{artifact.filename} is missing: there is no {path}"
        elif path.stat().st_size == 0:
            yield f"{artifact.filename} is empty: {path}"
        elif artifact.filename.endswith(".safetensors"):
            try:
                with safe_open(path, framework="numpy"):  # which compares the header with the file's length
                    pass
            except SafetensorError as error:
                yield f"{artifact.filename} is damaged: {path}: {error}"


def resumable(stored: Stored, attempt: Attempt) -> Iterator[str]:
    """The checkpoint of each unfinished attempt is there and unchanged."""
    pointer = attempt.trial.system_attrs[CHECKPOINT]
    folder = CheckpointFolder(stored.checkpoints / str(stored.study_attributes.get(UID)))
    try:
        load(folder, Checkpoint(**pointer))
    except CheckpointUnusable as problem:
        now = stored.trial_now(attempt.trial._trial_id)
        # Its worker may have gone on meanwhile: then the file went with the pointer to it.
        if not now.state.is_finished() and now.system_attrs.get(CHECKPOINT) == pointer:
            yield f"{problem}; the cell would begin at the first epoch"
