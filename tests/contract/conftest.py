"""A study, and the same study as a worker sees it, by each way to a study that there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.contract.study import StudyForWorkers
from mnist_tune.study.direct import DirectStudy
from mnist_tune.study.open_study import OpenStudy
from tests.support.contract_calls import ME
from tests.support.specs import TWO_CELLS
from tests.support.studies import folders, new_study, opened_again


@pytest.fixture
def study(database: str, tmp_path: Path) -> OpenStudy:
    """A study of two cells as those who look at it see it."""
    return new_study(tmp_path, TWO_CELLS, database)


@pytest.fixture
def far(study: OpenStudy, tmp_path: Path) -> OpenStudy:
    """The study in the hands of the process that works on it."""
    return opened_again(study)


@pytest.fixture
def worker(far: OpenStudy, tmp_path: Path) -> StudyForWorkers:
    """The same study as a registered worker sees it."""
    seen: StudyForWorkers = DirectStudy(far, folders(tmp_path))
    seen.register(ME)
    return seen
