"""A storage with a study, and the same storage as people see it, by each way to a storage that there is."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from mnist_tune.serve.client import Head
from mnist_tune.serve.remote_studies import RemoteStudies
from mnist_tune.service.calls import StudiesForPeople
from mnist_tune.service.direct import DirectStudies
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.study.open_study import OpenStudy
from tests.support.heads import running_head
from tests.support.specs import TINY_SPEC
from tests.support.studies import folders, new_study, opened_again


@pytest.fixture
def study(database: str, tmp_path: Path) -> OpenStudy:
    """A study of eight cells as its workers see it."""
    return new_study(tmp_path, TINY_SPEC, database)


@pytest.fixture
def far(study: OpenStudy) -> GuardedStorage:
    """The study's storage in the hands of the process that answers people."""
    return opened_again(study).storage


@pytest.fixture(params=["direct", "head"])
def service(
    request: pytest.FixtureRequest, far: GuardedStorage, tmp_path: Path
) -> Iterator[StudiesForPeople]:
    """The same storage as people see it."""
    if request.param == "direct":
        yield DirectStudies(far, partial(folders, tmp_path))
        return
    with running_head(far, tmp_path) as address:
        yield RemoteStudies(Head(address))
