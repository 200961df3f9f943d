"""What a head says of a study that it has not opened yet, since it has just started again."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.contract.study import StorageAway, StorageFailed
from mnist_tune.serve.desk import Desk
from mnist_tune.serve.writer import Writer
from tests.support.specs import TWO_CELLS
from tests.support.studies import folders, new_study, opened_again


def test_a_database_that_cannot_be_opened_is_told_in_the_words_of_the_contract(tmp_path: Path) -> None:
    study = new_study(tmp_path, TWO_CELLS)
    storage = opened_again(study).storage
    storage.engine.dispose()
    (tmp_path / "studies.db").rename(tmp_path / "elsewhere.db")
    with Writer(storage) as writer:
        desk = Desk(storage, folders(tmp_path), writer)
        for asked in (desk.open("tiny"), desk.answer("tiny", study.uid, "standing", {})):
            with pytest.raises((StorageAway, StorageFailed)) as told:
                asked.result(60)
            assert "\n" not in str(told.value)
