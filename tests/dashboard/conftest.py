"""Fixtures of the dashboard's tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mnist_tune.dashboard.app import guarded_app
from mnist_tune.failures import Failure
from mnist_tune.storage.artifacts import ArtifactFolder, upload
from mnist_tune.storage.keys import ENVIRONMENT
from mnist_tune.study.open_study import OpenStudy
from tests.support.dashboard_client import HERE, REASON, Client, app_of
from tests.support.made_studies.epochs import made_epoch
from tests.support.stored_epochs import numbers
from tests.support.studies import folders, opened_again, take


@pytest.fixture
def files(tmp_path: Path) -> ArtifactFolder:
    return ArtifactFolder(tmp_path / "artifacts")


@pytest.fixture
def worked_on(study: OpenStudy, files: ArtifactFolder) -> OpenStudy:
    """A study with a complete trial, a failed one, one that runs, others that wait, and the retry."""
    queue = study.queue()
    complete, failed = take(queue), take(queue)
    history = [made_epoch(1, 80.0), made_epoch(2, 90.0)]
    queue.complete(
        complete,
        90.0,
        user={ENVIRONMENT: {"device": "cpu", "torch": "2.15"}},
        epochs=numbers(history),
        reports={1: 80.0, 2: 90.0},
        system=upload(files, complete.token, {"log.txt": b"all went well\n"}),
    )
    queue.give_back(failed, Failure("exception", REASON))
    take(queue)
    return study


@pytest.fixture
def client(worked_on: OpenStudy, tmp_path: Path) -> Client:
    return Client(app_of(worked_on, tmp_path))


@pytest.fixture
def guarded(worked_on: OpenStudy, tmp_path: Path) -> Callable[..., Client]:
    """A dashboard behind its guard, on this machine only unless told otherwise."""

    def make(is_our_name: Callable[[str], bool] = HERE, read_only: bool = False) -> Client:
        storage = opened_again(worked_on).storage
        return Client(guarded_app(storage, folders(tmp_path), is_our_name, read_only=read_only))

    return make
