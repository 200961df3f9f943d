"""Optuna's own tests of a storage, on ours."""

from __future__ import annotations

import pytest
from optuna.testing.pytest_storages import StorageTestCase

from mnist_tune.database import storage_url
from mnist_tune.storage import GuardedStorage, open_storage

pytestmark = pytest.mark.slow


class TestGuardedStorage(StorageTestCase):
    @pytest.fixture
    def storage(self, database: str) -> GuardedStorage:
        return open_storage(storage_url(database), create=True)
