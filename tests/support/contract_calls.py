"""Calls of the contract, for tests."""

from __future__ import annotations

from mnist_tune.contract.claim import Claim
from mnist_tune.contract.study import StudyForWorkers


def taken(worker: StudyForWorkers) -> Claim:
    claim = worker.claim()
    assert claim is not None
    return claim
