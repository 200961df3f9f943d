"""More epochs that would not be a longer training are refused in one line, and `verify` knows the rule."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.trial import TrialState

from mnist_tune.contract.study import new_token
from mnist_tune.errors import UserError
from mnist_tune.storage.keys import FAILURE, RESULT
from mnist_tune.storage.statements import put
from mnist_tune.study.extend import extend_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import create_study
from mnist_tune.verification import verify
from tests.support.longer_studies import (
    SPEC,
    broken,
    extend,
    go_through,
)
from tests.support.specs import tiny_spec
from tests.support.studies import new_study, opened_again, states, take


def test_while_a_trial_runs_it_is_refused_with_what_to_do(database: str, tmp_path: Path) -> None:
    study = new_study(tmp_path, SPEC, database)
    take(study.queue())
    with pytest.raises(UserError) as told:
        extend(study)
    assert str(told.value) == (
        "extend: epochs: 1 trial now runs to 2; have the workers leave first with 'mnist-tune cancel tiny', "
        "and go on with 'mnist-tune resume tiny'"
    )
    assert opened_again(study).spec == study.spec


def test_complete_trials_without_a_kept_state_are_counted_and_nothing_changes(
    database: str, tmp_path: Path
) -> None:
    study = new_study(tmp_path, SPEC.replace("keep_last = true\n", ""), database)
    go_through(study, tmp_path)
    with pytest.raises(UserError, match=r"no checkpoint was kept of 3 of 3 complete trials: \[limits\] keep"):
        extend(study)
    assert states(study) == [TrialState.COMPLETE] * 3


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        (
            ("epochs = 2", 'epochs = 2\nscheduler = "cosine"'),
            "with scheduler = 'cosine' a trial of few epochs",
        ),
        (
            ("[search.grid]", '[search.grid]\nscheduler = ["none", "one_cycle"]'),
            "with scheduler = 'one_cycle'",
        ),
        (
            ("[training]\nepochs = 2\n", "epochs = [2, 3]\n"),
            "are searched in this study; add a value with --",
        ),
        (("[limits]", "[stop]\ntarget = 90.0\n[limits]"), "[stop] counts results of one number of epochs; "),
        (
            ("seed = [0, 1, 2]", "batch_size = [64, 128]\n[replicates]"),
            "[replicates] has judged trials of so ",
        ),
        (("[limits]", '[pruner]\nname = "hyperband"\n[limits]'), "[pruner] hyperband divides the trials by"),
    ],
)
def test_what_would_not_be_a_longer_training_is_refused(
    tmp_path: Path, changed: tuple[str, str], complaint: str
) -> None:
    study = new_study(tmp_path, SPEC.replace(*changed))
    with pytest.raises(UserError) as told:
        extend(study)
    assert str(told.value).startswith(f"extend: epochs: {complaint}")
    assert "\n" not in str(told.value)
    assert opened_again(study).spec == study.spec


def test_a_spec_with_more_epochs_means_the_same(ended: OpenStudy, tmp_path: Path) -> None:
    wider = tiny_spec(tmp_path, SPEC.replace("epochs = 2", "epochs = 6"))
    with pytest.raises(
        UserError, match=r"exists with fewer epochs: this spec would add 4 more epochs for each"
    ):
        create_study(ended.storage, wider)
    revision = extend_study(opened_again(ended), wider, new_token()).revision
    assert revision is not None
    assert (revision.epochs, revision.going_on) == (4, 3)
    assert not create_study(ended.storage, wider)
    fewer = tiny_spec(tmp_path, SPEC)
    with pytest.raises(UserError, match="this spec has less; work on the study with"):
        create_study(ended.storage, fewer)
    other = SPEC.replace("epochs = 2", 'epochs = 6\nscheduler = "cosine"').replace("tiny", "cosine")
    create_study(ended.storage, tiny_spec(tmp_path, other.replace("epochs = 6", "epochs = 2")))
    with pytest.raises(
        UserError, match=r"training\.epochs is 2 there and 6 here; epochs: with scheduler = 'co"
    ):
        create_study(ended.storage, tiny_spec(tmp_path, other))


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        (lambda study: put_in(study, 0, user={FAILURE: {"class": "lost", "reason": "x"}}), "failure counts"),
        (lambda study: put_in(study, 0, system={RESULT: [7, 1.0]}), "more epochs"),
        (lambda study: delete_last(study), "more epochs"),
    ],
    ids=["another reason", "another trial's result", "no trial that goes on"],
)
def test_verify_finds_what_no_extension_leaves(
    tmp_path: Path, damage: Callable[[OpenStudy], None], finding: str
) -> None:
    study = new_study(tmp_path, SPEC)
    go_through(study, tmp_path)
    extend(study)
    assert broken(study, tmp_path) == []
    damage(study)
    found = verify(study.storage, study.name, tmp_path / "artifacts", tmp_path / "checkpoints")
    assert finding in [outcome.check for outcome in found.broken]


def put_in(study: OpenStudy, number: int, **notes: object) -> None:
    trial = study.storage.get_all_trials(study.study_id)[number]
    with study.storage.transaction() as session:
        put(session, trial._trial_id, **notes)  # type: ignore[arg-type]


def delete_last(study: OpenStudy) -> None:
    trial = study.storage.get_all_trials(study.study_id)[-1]
    with study.storage.transaction() as session:
        for table in ("trial_params", "trial_system_attributes", "trials"):
            session.connection().exec_driver_sql(f"DELETE FROM {table} WHERE trial_id = {trial._trial_id}")
