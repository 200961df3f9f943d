"""A copied study is the same study: every row of it or none, on whatever databases, also while it runs."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.storage.keys import UID
from mnist_tune.study.copy import Copied, copy_study
from mnist_tune.study.delete import delete_study
from mnist_tune.study.store import study_names
from tests.support.copied_studies import (
    assert_copied,
    assert_that_a_copy_is_of_one_moment,
    assert_that_a_killed_copy_leaves_nothing,
    described,
    file_content,
    new_study_at,
    study_at,
    trials_by_optuna,
)
from tests.support.specs import TINY_SPEC


def test_a_copy_holds_the_same_study_with_what_ran_put_back(original: str, copy: str) -> None:
    stored = file_content(original)
    assert copy_study(study_at(original), storage_url(copy)) == Copied("tiny", trials=10, put_back=1)
    assert_copied(trials_by_optuna(original), trials_by_optuna(copy))
    ours, theirs = (optuna.load_study(study_name="tiny", storage=url) for url in (original, copy))
    assert theirs.user_attrs == ours.user_attrs | {UID: study_at(copy).uid}
    assert study_at(copy).uid != study_at(original).uid
    assert theirs.metric_names == ours.metric_names
    assert theirs.directions == ours.directions
    assert file_content(original) == stored
    assert not any(line.startswith('INSERT INTO "trial_heartbeats"') for line in file_content(copy))


def test_a_copy_beside_its_original_has_another_name_everywhere(original: str) -> None:
    before_it = trials_by_optuna(original)
    assert copy_study(study_at(original), storage_url(original), "second").name == "second"
    assert study_names(open_storage(storage_url(original))) == ["tiny", "second"]
    assert study_at(original, "second").spec == study_at(original).spec.named("second")
    assert study_at(original, "second").uid != study_at(original).uid
    assert_copied(before_it, trials_by_optuna(original, "second"))
    assert [described(trial) for trial in trials_by_optuna(original)] == [
        described(trial) for trial in before_it
    ]


def test_a_study_of_that_name_at_the_target_is_left_alone(original: str, copy: str) -> None:
    copy_study(study_at(original), storage_url(copy))
    for target in (original, copy):
        stored = file_content(target)
        with pytest.raises(UserError, match="has a study 'tiny' already; give the copy another name"):
            copy_study(study_at(original), storage_url(target))
        assert file_content(target) == stored


def test_a_running_cell_whose_budget_is_spent_is_a_hole_of_the_copy(tmp_path: Path, copy: str) -> None:
    study = new_study_at(
        f"sqlite:///{tmp_path}/original.db", tmp_path, TINY_SPEC + "\n[retry]\npreempted = 0\n"
    )
    assert study.queue().claim("worker")
    assert copy_study(study, storage_url(copy)) == Copied("tiny", trials=8, put_back=0)
    assert [trial.state for trial in trials_by_optuna(copy)] == [TrialState.FAIL] + [TrialState.WAITING] * 7


def test_a_running_trial_of_somebody_else_ends_in_the_copy_and_is_not_ours_to_run(
    tmp_path: Path, copy: str
) -> None:
    study = new_study_at(f"sqlite:///{tmp_path}/original.db", tmp_path)
    study.optuna_study().add_trial(create_trial(state=TrialState.RUNNING))
    assert copy_study(study, storage_url(copy)) == Copied("tiny", trials=9, put_back=0)
    assert [trial.state for trial in trials_by_optuna(copy)] == [TrialState.WAITING] * 8 + [TrialState.FAIL]


def test_what_happens_at_the_source_during_a_copy_is_not_in_it(original: str, copy: str) -> None:
    assert_that_a_copy_is_of_one_moment(original, copy)


def test_a_study_deleted_before_the_copy_began_is_no_empty_copy(original: str, copy: str) -> None:
    study = study_at(original)
    delete_study(study_at(original))
    with pytest.raises(MnistTuneError, match="study 'tiny' was deleted before it could be copied"):
        copy_study(study, storage_url(copy))
    assert optuna.get_all_study_names(copy) == []


@pytest.mark.slow
def test_a_killed_copy_leaves_nothing_and_can_be_made_again(original: str, copy: str) -> None:
    assert_that_a_killed_copy_leaves_nothing(original, copy)
