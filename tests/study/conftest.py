"""Fixtures of the tests of studies."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.storage.artifacts import ArtifactFolder, upload
from mnist_tune.storage.keys import ENVIRONMENT
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.worker.loop import Ended
from tests.support.copied_studies import fill_with_every_kind_of_trial, new_study_at
from tests.support.longer_studies import SPEC, go_through
from tests.support.made_studies.epochs import made_epoch
from tests.support.stored_epochs import numbers
from tests.support.studies import new_study


@pytest.fixture
def original(tmp_path: Path) -> str:
    """A study in a file, with a trial of every kind."""
    url = f"sqlite:///{tmp_path}/original.db"
    fill_with_every_kind_of_trial(new_study_at(url, tmp_path))
    return url


@pytest.fixture
def copy(tmp_path: Path) -> str:
    """A file that is not there yet."""
    return f"sqlite:///{tmp_path}/copy.db"


@pytest.fixture
def old_study(study: OpenStudy, tmp_path: Path) -> OpenStudy:
    """Three finished cells of eight, with their logs, and one that runs."""
    queue, files = study.queue(), ArtifactFolder(tmp_path / "artifacts")
    for value in (90.0, 91.0, 92.0):
        claim = queue.claim("machine:1")
        assert claim is not None
        history = [made_epoch(number, value - 2 + number) for number in (1, 2)]
        queue.complete(
            claim,
            value,
            user={ENVIRONMENT: {"precision": "fp32"}},
            epochs=numbers(history),
            system=upload(files, claim.token, {"log.txt": b"said"}),
            reports={epoch: value - 2 + epoch for epoch in (1, 2)},
        )
    assert queue.claim("machine:2") is not None
    return study


@pytest.fixture
def ended(database: str, tmp_path: Path) -> OpenStudy:
    """A study whose three cells are complete, with a kept state each."""
    study = new_study(tmp_path, SPEC, database)
    assert go_through(study, tmp_path) is Ended.FINISHED
    return study
