"""Optuna's own tests of a storage, on ours."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from optuna.testing.pytest_storages import StorageTestCase
from optuna.trial import FrozenTrial

from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.storage.schema import prepare

pytestmark = pytest.mark.slow


class InLocalTime(GuardedStorage):
    """Our storage with trials' times as Optuna gives them: local, without a zone. Ours are in UTC."""

    def _build_frozen_trial_from_trial_model(self, trial: Any) -> FrozenTrial:
        frozen = super()._build_frozen_trial_from_trial_model(trial)
        frozen.datetime_start = as_stock(frozen.datetime_start)
        frozen.datetime_complete = as_stock(frozen.datetime_complete)
        return frozen


def as_stock(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone().replace(tzinfo=None)


class TestGuardedStorage(StorageTestCase):
    @pytest.fixture
    def storage(self, database: str) -> GuardedStorage:
        url = storage_url(database)
        prepare(url, create=True)
        return InLocalTime(url)
