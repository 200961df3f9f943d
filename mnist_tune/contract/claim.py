"""What a worker gets from the queue: a claim or, if there is none, the reason."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from mnist_tune.files.checkpoints import Checkpoint
from mnist_tune.jobs.hyperparameters import Count
from mnist_tune.spec.sections import Limits

Token = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
"""A secret by which a claim, or a worker, is known. Like `Count`, it holds for what comes over a network."""


class Standing(enum.Enum):
    """Why a worker got no cell, and so whether it should wait or leave."""

    OPEN = "cells run, and one may come back"
    FINISHED = "the study is finished"
    PAUSED = "the study is paused"
    CANCELLED = "the study is cancelled"
    STOPPED = "the study is stopped"


@dataclass(frozen=True)
class Claim:
    """A trial whose lease this process holds, and what was known of its cell when it was claimed."""

    trial_id: Count
    number: Count
    token: Token
    parameters: dict[str, Any] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None
    failures: dict[str, int] = field(default_factory=dict)
    damage: tuple[str, ...] = ()
    """Parameters that cannot be read: it is not known what is to be run."""
    problems: tuple[str, ...] = ()
    """Other values that cannot be read; the attempt runs without them."""
    limits: Limits = field(default_factory=Limits)
    """The study's [limits] when the trial was claimed."""
    epochs: Annotated[Count, Field(ge=1)] | None = None
    """How many epochs the trials of the study had then; None: its spec or its parameters say so."""
