"""A worker goes on wherever its connection is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.study.store import open_study
from mnist_tune.verification import verify
from mnist_tune.worker.loop import Ended
from tests.support.studies import new_study, work
from tests.system.connection_cuts import (
    POINTS,
    SAMPLED_SPEC,
    Cut,
    fresh_database,
    some_points,
    train_three_epochs,
)

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("short_pauses")]


@POINTS
def test_a_worker_goes_on_with_its_sampler_and_its_pruner(server: str, tmp_path: Path, most: int) -> None:
    new_study(tmp_path, SAMPLED_SPEC, fresh_database(server, "fresh")).storage.engine.dispose()

    def life(fatal: int | None) -> Cut:
        study = open_study(open_storage(storage_url(fresh_database(server, "cut", "fresh"))), "tiny")
        cut = Cut(server, fatal)
        with cut.made():
            ended = work(study, train_three_epochs, files=tmp_path, log=lambda _: None)
        assert ended is Ended.FINISHED, cut
        verification = verify(study.storage, "tiny", tmp_path / "artifacts", tmp_path / "checkpoints")
        assert [outcome for outcome in verification.outcomes if outcome.findings] == [], cut
        study.storage.engine.dispose()
        return cut

    whole = life(None)
    assert len(whole.passed) > 100
    for fatal in some_points(whole, most):
        assert life(fatal).has_come
