"""A complete trial keeps its last checkpoint if [limits] keep_last says so, and nothing loses it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mnist_tune.errors import UserError
from mnist_tune.files.checkpoints import Checkpoint, load
from mnist_tune.files.locations import Folders, checkpoints_of
from mnist_tune.queue.cells import checkpoint_keys
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.keys import LAST_CHECKPOINT
from mnist_tune.study.copy import copy_study
from mnist_tune.study.delete import delete_study_and_files
from mnist_tune.study.direct import DirectStudy
from mnist_tune.study.exchange import pack, unpack
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import open_study
from mnist_tune.verification import verify
from tests.support.command_jobs import DECAY, DECAY_SPEC, run
from tests.support.own_jobs import FIT, FIT_SPEC, own_job
from tests.support.specs import TWO_CELLS, tiny_spec
from tests.support.studies import folders, open_file

KEPT = {
    "fit": (FIT, FIT_SPEC.replace("[limits]\ncheckpoint_interval = 0", "[limits]\nkeep_last = true")),
    "decay": (DECAY, DECAY_SPEC.replace("[limits]\ncheckpoint_interval = 0", "[limits]\nkeep_last = true")),
}
"""Jobs whose states are saved after the last epoch alone."""


def trained(folder: Path, name: str = "fit") -> OpenStudy:
    """A study of three epochs whose trials are complete."""
    run(own_job(folder, *KEPT[name], name), folder)
    return open_study(open_file(folder), name)


def place_of(study: OpenStudy) -> Folders:
    return Folders.of(study.storage.engine.url)


def pointers(study: OpenStudy) -> list[Checkpoint]:
    trials = study.storage.get_all_trials(study.study_id)
    return [Checkpoint(**trial.system_attrs[LAST_CHECKPOINT]) for trial in trials]


def assert_whole(study: OpenStudy, places: Folders, name: str = "fit") -> None:
    """Each of its two trials has its state, and nothing else lies there."""
    states = checkpoints_of(study.uid, places.checkpoints)
    kept = pointers(study)
    assert sorted(states.keys()) == sorted(each.key for each in kept)
    assert [each.epoch for each in kept] == [3, 3]
    assert all(load(states, each) for each in kept)
    found = verify(study.storage, study.name, places.artifacts.path, places.checkpoints.path)
    assert [str(one) for outcome in found.outcomes for one in outcome.findings] == []


@pytest.mark.parametrize("name", list(KEPT))
def test_a_complete_trial_keeps_the_state_after_its_last_epoch_and_no_other(
    tmp_path: Path, name: str
) -> None:
    study = trained(tmp_path, name)
    assert_whole(study, place_of(study))
    DirectStudy(study, place_of(study)).sweep(is_over=True)
    assert_whole(study, place_of(study))


@pytest.mark.slow
def test_a_copy_has_states_of_its_own_and_deleting_a_study_deletes_its_states(tmp_path: Path) -> None:
    study = trained(tmp_path)
    url = storage_url(f"sqlite:///{tmp_path}/copy.db")
    copied = copy_study(study, url, None, place_of(study), folders(tmp_path / "copy"))
    assert copied.missing == 0
    with pack(study, place_of(study)) as archive:
        unpack(archive, url, "unpacked", folders(tmp_path / "copy"))
    its = checkpoints_of(study.uid, place_of(study).checkpoints)
    assert delete_study_and_files(study, place_of(study)).problems == []
    assert its.keys() == []
    for name in ("fit", "unpacked"):
        assert_whole(open_study(type(study.storage)(url), name), folders(tmp_path / "copy"))


@pytest.mark.slow
def test_verify_remarks_a_kept_state_that_is_gone(tmp_path: Path) -> None:
    study = trained(tmp_path)
    (first, _), places = pointers(study), place_of(study)
    checkpoints_of(study.uid, places.checkpoints).delete(first.key)
    found = verify(study.storage, study.name, places.artifacts.path, places.checkpoints.path)
    assert found.broken == []
    (outcome,) = [one for one in found.outcomes if one.findings]
    assert outcome.check == "checkpoints"
    assert re.search("is not there; the cell would begin at the first epoch", str(outcome))


def test_without_it_nothing_is_kept_and_a_spec_is_written_as_before(tmp_path: Path) -> None:
    run(own_job(tmp_path), tmp_path)
    study = open_study(open_file(tmp_path), "fit")
    assert checkpoints_of(study.uid, place_of(study).checkpoints).keys() == []
    with study.storage.transaction() as session:
        assert checkpoint_keys(session, [study.study_id]) == set()
    assert "keep_last" not in study.spec.document()["limits"]


def test_it_may_stand_in_training_though_it_is_no_hyperparameter(tmp_path: Path) -> None:
    in_training = tiny_spec(tmp_path, f"{TWO_CELLS}\n[training]\nkeep_last = true\n")
    in_limits = tiny_spec(tmp_path, f"{TWO_CELLS}\n[limits]\nkeep_last = true\n")
    assert in_training.document() == in_limits.document()
    assert in_limits.limits.keep_last
    both = f"{TWO_CELLS}\n[limits]\nkeep_last = true\n[training]\nkeep_last = true\n"
    with pytest.raises(UserError, match=r"training\.keep_last: stands in \[limits\] too; remove one"):
        tiny_spec(tmp_path, both)
