"""What a worker gets from the queue: a claim or, if there is none, the reason."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any

from mnist_tune.files.checkpoints import Checkpoint
from mnist_tune.spec.sections import Limits


class Standing(enum.Enum):
    """Why a worker got no cell, and so whether it should wait or leave."""

    OPEN = "cells run, and one may come back"
    FINISHED = "the study is finished"
    PAUSED = "the study is paused"
    CANCELLED = "the study is cancelled"


@dataclass(frozen=True)
class Claim:
    """A trial whose lease this process holds, and what was known of its cell when it was claimed."""

    trial_id: int
    number: int
    token: str
    parameters: dict[str, Any] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None
    failures: dict[str, int] = field(default_factory=dict)
    damage: tuple[str, ...] = ()
    """Parameters that cannot be read: it is not known what is to be run."""
    problems: tuple[str, ...] = ()
    """Other values that cannot be read; the attempt runs without them."""
    limits: Limits = field(default_factory=Limits)
    """The study's [limits] when the trial was claimed."""
