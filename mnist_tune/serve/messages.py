"""What requests of workers say that are no calls of the contract."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from mnist_tune.contract import wire
from mnist_tune.contract.claim import Token
from mnist_tune.jobs.hyperparameters import Count
from mnist_tune.serve.for_people import Sha256


class Name(BaseModel):
    """A study by its name alone."""

    model_config = ConfigDict(extra="forbid")

    study: wire.StudyName


class State(wire.OfStudy):
    """A state of a trial."""

    key: str


class File(wire.OfStudy):
    """A file that an attempt keeps: `name` is a state's key, or that of a final file."""

    trial_id: Count
    token: Token
    name: str
    sha256: Sha256
