"""Calls of the contract, for tests."""

from __future__ import annotations

from mnist_tune.contract.claim import Claim, Standing
from mnist_tune.contract.study import StudyForWorkers, WorkerFacts, new_token

ME = WorkerFacts.of_this_process("cpu")


def taken(worker: StudyForWorkers) -> Claim:
    claim = asked(worker)
    assert isinstance(claim, Claim)
    return claim


def asked(worker: StudyForWorkers) -> Claim | Standing:
    """The answer to a new claim."""
    return worker.claim(ME, new_token())
