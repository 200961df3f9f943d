"""Which results of an older study are results of the new one: trained alike, on the same data."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.errors import UserError
from mnist_tune.results.reading import read_results
from mnist_tune.storage.keys import ENVIRONMENT
from mnist_tune.storage.tables import epochs
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.reuse import finished_cells
from tests.support.reused_studies import MORE_SEEDS, reuse_results
from tests.support.specs import TINY_SPEC, tiny_spec
from tests.support.studies import new_study


def test_cells_that_were_trained_on_other_images_are_warned_about(
    old_study: OpenStudy, tmp_path: Path
) -> None:
    new = reuse_results(old_study, tiny_spec(tmp_path, MORE_SEEDS))
    claim = new.queue().claim("machine:1")
    assert claim is not None
    new.queue().complete(claim, 90.0, user={ENVIRONMENT: {"precision": "fp32", "data_sha256": "1" * 64}})
    assert read_results(new).warnings == []
    claim = new.queue().claim("machine:1")
    assert claim is not None
    new.queue().complete(claim, 90.0, user={ENVIRONMENT: {"precision": "fp32", "data_sha256": "2" * 64}})
    (warning,) = read_results(new).warnings
    assert warning.startswith("cells differ in data_sha256 (1111")


def test_another_value_of_an_axis_keeps_what_the_others_have(old_study: OpenStudy, tmp_path: Path) -> None:
    text = TINY_SPEC.replace('"tiny"', '"wider"').replace("[64, 128]", "[32, 64, 128, 256]")
    results = read_results(reuse_results(old_study, tiny_spec(tmp_path, text)))
    assert (results.cells.total, results.cells.complete) == (16, 3)
    assert {attempt.parameters["batch_size"] for attempt in results.complete} <= {64, 128}


def test_other_epochs_data_or_precision_are_other_results(old_study: OpenStudy, tmp_path: Path) -> None:
    for other, why in (
        (("epochs = 2", "epochs = 3"), "training.epochs is 2 there and 3 here"),
        (("train_size = 200", "train_size = 300"), "data.train_size is 200 there and 300 here"),
        (('precision = "fp32"', 'precision = "bf16"'), "training.precision is fp32 there and bf16 here"),
    ):
        spec = tiny_spec(tmp_path, MORE_SEEDS.replace(*other))
        with pytest.raises(UserError) as refusal:
            finished_cells(old_study, spec)
        assert "--reuse tiny: has no finished cell of this study" in str(refusal.value)
        assert why in str(refusal.value)


def test_auto_precision_counts_as_what_it_turned_out_to_be(tmp_path: Path) -> None:
    auto = new_study(tmp_path, TINY_SPEC.replace('"fp32"', '"auto"'))
    claim = auto.queue().claim("machine:1")
    assert claim is not None
    auto.queue().complete(claim, 90.0, user={ENVIRONMENT: {"precision": "bf16"}})
    for precision, found in (("bf16", 1), ("auto", 1), ("fp32", 0)):
        spec = tiny_spec(tmp_path, MORE_SEEDS.replace('"fp32"', f'"{precision}"'))
        if found:
            assert len(finished_cells(auto, spec)) == found
        else:
            with pytest.raises(UserError):
                finished_cells(auto, spec)


def test_a_trial_that_cannot_be_read_is_run_anew(old_study: OpenStudy, tmp_path: Path) -> None:
    with old_study.storage.transaction() as session:
        session.execute(epochs.update().where(epochs.c.trial_id == 1).values(metrics="{"))
    results = read_results(reuse_results(old_study, tiny_spec(tmp_path, MORE_SEEDS)))
    assert (results.cells.complete, results.cells.waiting) == (2, 22)
    assert results.problems == []
