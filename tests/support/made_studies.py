"""Studies whose cells have ended, without any training."""

from __future__ import annotations

from typing import Any

from mnist_tune.failures import Failure
from mnist_tune.storage.keys import ENVIRONMENT
from mnist_tune.study.open_study import OpenStudy


def complete_next_cell(study: OpenStudy, value: float, **environment: Any) -> None:
    """End the next cell with this value, as run on this environment."""
    queue = study.queue()
    claim = queue.claim("worker")
    assert claim is not None
    study.storage.set_trial_user_attr(claim.trial_id, ENVIRONMENT, environment)
    queue.complete(claim, value)


def fail_all_cells(study: OpenStudy, reason: str) -> None:
    """Fail every waiting cell, until its budget is spent."""
    queue = study.queue()
    while claim := queue.claim("worker"):
        queue.give_back(claim, Failure("non_finite", reason))
