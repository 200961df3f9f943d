"""What a worker asks of a study, and what it is told: the calls, their answers, and how they fail.

A worker knows a study by these calls alone, wherever the study is. It needs neither Optuna nor a database.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Protocol, Self

from pydantic import Field, FiniteFloat

from mnist_tune.contract.claim import Claim, Standing, Token
from mnist_tune.errors import MnistTuneError
from mnist_tune.failures import Failure
from mnist_tune.files.checkpoints import Checkpoint
from mnist_tune.jobs.hyperparameters import Count
from mnist_tune.spec.sections import LeaseSettings
from mnist_tune.spec.stopped import Stopped
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.notes import Notes

NO_NUL = r"^[^\x00]*$"
"""The form of text that every database can store."""
ShortText = Annotated[str, Field(max_length=300, pattern=NO_NUL)]
COULD_NOT_BEGIN = "could not begin: "
"""How the departure begins of a worker that could not start and so has claimed nothing."""


class LeaseLost(Exception):  # noqa: N818 - an outcome of an attempt more than an error
    """The lease is gone: another worker may have the cell. Nothing more may be written for the attempt."""


class SamplerFailed(Exception):  # noqa: N818 - what is told is a sentence
    """The study's sampler has given no point, in one line. Another attempt may get one."""


class StorageAway(MnistTuneError):  # noqa: N818 - a state that passes
    """The study does not answer, in one line. The same call may be answered later, and may be repeated."""


class StorageFailed(MnistTuneError):  # noqa: N818 - what is told is a sentence
    """The study cannot do what it was asked, in one line. Repeating the call is of no use."""


class Control(StrEnum):
    """Whether a study's cells may be claimed; the values are what is stored."""

    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    STOPPED = "stopped"
    """By a condition of its [stop]; nobody asks for it."""


@dataclass(frozen=True)
class Orders:
    """What a worker is asked to do, read whenever it tells that it lives."""

    control: Control
    drain: bool


@dataclass(frozen=True)
class WorkerFacts:
    """Who a worker is, as it tells the study with each call about itself."""

    id: Token
    """New for each worker."""
    name: ShortText
    host: ShortText
    pid: Count
    device: ShortText

    @classmethod
    def of_this_process(cls, device: str) -> Self:
        """A new worker in this process, which trains on `device`."""
        return cls(new_token(), worker_name(), socket.gethostname(), os.getpid(), device)


class Decision(NamedTuple):
    """What a pruner decides for a trial after an epoch."""

    prune: bool
    system: dict[str, Any]
    """System attributes, by name, that the pruner wants stored with the trial."""


class StudyForWorkers(Protocol):
    """A study as a worker sees it.

    Every call may be repeated after it has raised StorageAway, even if only its answer was lost. A call that
    a slow network delivers after newer ones loses no cell and no state. Calls for an attempt raise LeaseLost,
    and change nothing, if its lease is gone. Any call may raise StorageFailed. Who answers need not remember
    earlier calls.
    """

    @property
    def name(self) -> str:
        """The study's name."""

    @property
    def spec(self) -> Spec:
        """The spec as it was when the study was opened."""

    @property
    def prunes(self) -> bool:
        """Whether the study has a pruner, which may end trials early."""

    @property
    def state_folder(self) -> Path:
        """Where the training process finds and leaves states."""

    def check_folders(self) -> list[str]:
        """Check before hours of training that files can be kept; returns warnings. Raises UserError."""

    def standing(self) -> Standing:
        """Why no cell can be claimed. Raises MnistTuneError if the study was deleted."""

    def stopped(self) -> Stopped | None:
        """Why the study has stopped by its [stop]; None if it has not."""

    def register(self, worker: WorkerFacts) -> LeaseSettings:
        """Tell that a worker is here; returns the [lease] that holds for it."""

    def beat(self, worker: WorkerFacts, trial: Count | None, units_per_second: float | None) -> Orders:
        """Tell that a worker lives, and on which trial it works how fast."""

    def leave(self, worker: WorkerFacts, reason: str) -> None:
        """Tell why a worker leaves."""

    def put_back_stale(self) -> dict[int, str]:
        """Fail attempts whose workers are silent, put their cells back; what happened, by trial number."""

    def claim(self, worker: WorkerFacts, token: Token) -> Claim | Standing:
        """Claim the next waiting cell, or say why no cell can be claimed.

        `token` is a new one. If an earlier call has claimed a cell with it, this cell is the answer.
        """

    def parameters(self, claim: Claim) -> dict[str, Any]:
        """A claimed trial's parameters; missing ones are drawn. Raises Damaged, SamplerFailed."""

    def renew(self, claim: Claim) -> None:
        """Renew the lease."""

    def record(self, claim: Claim, notes: Notes) -> None:
        """Store notes of the attempt, and renew the lease."""

    def decide(self, claim: Claim) -> Decision:
        """What the pruner decides for the trial, from what is stored now."""

    def complete(self, claim: Claim, value: FiniteFloat, notes: Notes) -> None:
        """End the attempt and its cell as complete, with the objective's value."""

    def prune(self, claim: Claim, value: FiniteFloat, notes: Notes) -> None:
        """End the attempt and its cell as pruned, with the value of the epochs that it had."""

    def give_back(self, claim: Claim, failure: Failure, system: Mapping[str, Any]) -> None:
        """End the attempt as failed, and put its cell back if its retry budget allows."""

    def fetch_state(self, claim: Claim) -> None:
        """Put the state from which a claimed trial goes on where the training process finds it.

        Raises OSError. A state that is not there is none: the trial then begins anew.
        """

    def keep_state(self, claim: Claim, checkpoint: Checkpoint) -> None:
        """Keep a state that the training process has left. Raises OSError."""

    def keep_files(self, claim: Claim, files: Mapping[str, bytes]) -> dict[str, str]:
        """Keep final files; returns the attributes that point to them. Raises OSError."""

    def delete_state(self, checkpoint: Checkpoint) -> None:
        """Delete a state to which nothing points any more. Raises OSError."""

    def sweep(self, *, is_over: bool = False) -> None:
        """Delete states that no attempt will use, and files that were left half written. Raises OSError.

        `is_over`: nothing more will be kept.
        """


def new_token() -> str:
    """A secret that nobody can guess, and that nobody else has made: 32 hexadecimal digits."""
    return secrets.token_hex(16)


def worker_name() -> str:
    """The name of this process in trials and reports: its host and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"
