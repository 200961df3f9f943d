"""The epochs of trials, as a worker stores them and as they are stored."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import select

from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.storage.tables import epochs

Numbers = dict[int, dict[str, float | None]]
"""The metrics of epochs: by the epoch's number, then by name."""


def numbers(history: Sequence[EpochMetrics]) -> Numbers:
    """These epochs in the form in which a worker stores them."""
    return {epoch.epoch: dict(epoch.numbers) for epoch in history}


def stored_numbers(storage: GuardedStorage, trial_id: int) -> Numbers:
    """The stored epochs of a trial."""
    with storage.transaction() as session:
        of_trial = select(epochs).where(epochs.c.trial_id == trial_id).order_by(epochs.c.epoch)
        return {row.epoch: json.loads(row.metrics) for row in session.execute(of_trial)}
