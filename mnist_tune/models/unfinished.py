"""The states of a training in the foreground, so that the same command goes on where it was stopped.

They lie in a hidden folder of the model's own one until the model is there.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mnist_tune.contract.study import new_token
from mnist_tune.errors import UserError
from mnist_tune.files.atomic_write import write_whole
from mnist_tune.files.checkpoints import (
    Checkpoint,
    CheckpointFolder,
    CheckpointUnusable,
    checkpoint_key,
    load,
    save,
)
from mnist_tune.spec.sections import Limits

FOLDER = ".unfinished"
"""The name of the hidden folder."""
POINTER = "training.json"
"""The file in it that names the training, and the state to go on from."""
UNREADABLE = (OSError, ValueError, LookupError, TypeError, RecursionError, ValidationError)
"""What reading that file may raise."""
CHECKPOINT: TypeAdapter[Checkpoint] = TypeAdapter(Checkpoint)


class UnfinishedTraining:
    """See `jobs.trying.States`. `recipe` is all on which the numbers of the training depend."""

    def __init__(self, model: Path, recipe: Mapping[str, Any], on_line: Callable[[str], None]) -> None:
        """Find the states of an earlier run of the same training.

        Raises:
            UserError: those that are there are of another training, or cannot be read.
        """
        self._folder = model / FOLDER
        self._states = CheckpointFolder(self._folder)
        self._recipe = json.loads(json.dumps(recipe))
        self._on_line = on_line
        self._token = new_token()
        self._kept = self._found(model)
        self._next = -math.inf

    @property
    def is_due(self) -> bool:
        """Whether it is time to save a state: after the first epoch, and then as often as a worker does."""
        return time.monotonic() >= self._next

    def saved(self) -> tuple[bytes | None, str | None]:
        """The state to go on from; or why there is none although there should be one."""
        if self._kept is None:
            return None, None
        try:
            return load(self._states, self._kept), None
        except CheckpointUnusable as unusable:
            self._kept = None
            return None, str(unusable)

    def keep(self, epoch: int, state: bytes) -> None:
        """Save the state after an epoch in place of the one before."""
        self._next = time.monotonic() + Limits().checkpoint_interval
        before = self._kept
        try:
            kept = save(self._states, checkpoint_key(0, self._token, epoch), epoch, state)
            pointer = {"training": self._recipe, "state": asdict(kept)}
            write_whole(self._folder / POINTER, json.dumps(pointer).encode())
            self._kept = kept
            if before is not None and before.key != kept.key:
                self._states.delete(before.key)
        except OSError as error:  # the state before is still there
            self._on_line(f"no checkpoint was saved: {error.strerror or error}")

    def clear(self) -> None:
        """Delete the states: the model is there."""
        with suppress(OSError):
            names = self._states.keys()
            for key in names:
                self._states.delete(key)
            (self._folder / POINTER).unlink(missing_ok=True)
            self._states.remove_if_empty()

    def _found(self, model: Path) -> Checkpoint | None:
        remedy = f"name another with --output, or delete {self._folder}"
        try:
            training, state = _stored(model)
        except FileNotFoundError:
            return None
        except UNREADABLE:
            raise UserError(f"{self._folder / POINTER}: cannot be read; {remedy}") from None
        if training != self._recipe:
            raise UserError(
                f"{model}: has an unfinished training of another configuration, seed, data or job; {remedy}"
            )
        return state


def epochs_kept(model: Path) -> int:
    """After how many epochs the same training would go on; 0 if it would begin anew."""
    try:
        return _stored(model)[1].epoch
    except UNREADABLE:
        return 0


def _stored(model: Path) -> tuple[Any, Checkpoint]:
    """The training that is unfinished, and the state to go on from. Raises one of UNREADABLE."""
    stored = json.loads((model / FOLDER / POINTER).read_text(encoding="utf-8"))
    return stored["training"], CHECKPOINT.validate_json(json.dumps(stored["state"]), strict=True)
