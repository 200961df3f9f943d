"""A study, and the same study as a worker sees it, by each way to a study that there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import pytest

from mnist_tune.contract.study import StudyForWorkers
from mnist_tune.serve.client import Head
from mnist_tune.serve.remote_study import RemoteStudy
from mnist_tune.study.direct import DirectStudy
from mnist_tune.study.open_study import OpenStudy
from tests.support.contract_calls import ME
from tests.support.heads import running_head
from tests.support.specs import TWO_CELLS
from tests.support.studies import folders, new_study, opened_again

See: TypeAlias = Callable[[OpenStudy], StudyForWorkers]


@pytest.fixture(params=["direct", "head"])
def see(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[See]:
    """Makes what a worker sees of a study, in one of the ways that there are; the worker has registered."""
    with ExitStack() as heads:

        def seen(study: OpenStudy) -> StudyForWorkers:
            way: StudyForWorkers
            if request.param == "direct":
                way = DirectStudy(study, folders(tmp_path))
            else:
                address = heads.enter_context(running_head(study.storage, tmp_path))
                way = RemoteStudy(Head(address), study.name, tmp_path / "on their way")
            way.register(ME)
            return way

        yield seen


@pytest.fixture
def study(database: str, tmp_path: Path) -> OpenStudy:
    """A study of two cells as those who look at it see it."""
    return new_study(tmp_path, TWO_CELLS, database)


@pytest.fixture
def far(study: OpenStudy) -> OpenStudy:
    """The study in the hands of the process that works on it."""
    return opened_again(study)


@pytest.fixture
def worker(far: OpenStudy, see: See) -> StudyForWorkers:
    """The same study as a registered worker sees it."""
    return see(far)
