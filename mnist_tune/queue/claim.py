"""What a worker gets of the queue: a claim or, if there is none, what it may expect."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any

from mnist_tune.files.checkpoints import Checkpoint
from mnist_tune.spec.sections import Limits


class Standing(enum.Enum):
    """What a worker that got no cell may expect."""

    OPEN = "cells run, and one may come back"
    FINISHED = "the study is finished"
    PAUSED = "the study is paused"
    CANCELLED = "the study is cancelled"


@dataclass(frozen=True)
class Claim:
    """A trial this process holds the lease of, and what was known of its cell when it took it."""

    trial_id: int
    number: int
    token: str
    parameters: dict[str, Any] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None
    failures: dict[str, int] = field(default_factory=dict)
    damage: tuple[str, ...] = ()
    """What of its parameters cannot be read: nobody knows what is to be run."""
    problems: tuple[str, ...] = ()
    """What else cannot be read, and is left alone."""
    limits: Limits = field(default_factory=Limits)
    """As the study had them when it was claimed."""
