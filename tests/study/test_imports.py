"""Results that were obtained elsewhere: samplers learn from them, nothing else counts or ranks them."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.samplers import GridSampler
from optuna.trial import TrialState

from mnist_tune.errors import UserError
from mnist_tune.results.exports import best_configuration
from mnist_tune.results.outcomes import Outcomes
from mnist_tune.results.reading import read_results
from mnist_tune.spec.growth import Growth
from mnist_tune.spec.imports import Import, ResultElsewhere
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.storage.keys import IMPORTED
from mnist_tune.study.copy import copy_study
from mnist_tune.study.delete import delete_study
from mnist_tune.study.extend import extend_study
from mnist_tune.study.imports import import_results
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import open_study, study_names
from tests.support.imported_results import ONE, OTHER, POINT, results, work_off
from tests.support.specs import SAMPLED_SPEC, TINY_SPEC
from tests.support.stock_optuna import broken_promises_of
from tests.support.studies import new_study, opened_again, states

TPE = SAMPLED_SPEC.replace('"random"', '"tpe"')


def test_what_was_imported_is_no_cell_and_in_no_ranking(database: str, tmp_path: Path) -> None:
    study = new_study(tmp_path, TINY_SPEC, database)
    assert import_results(study, results(99.0, 98.0), ONE) == (2, 0)
    found = read_results(study)
    assert (found.cells.total, found.cells.waiting, found.cells.complete) == (8, 8, 0)
    assert (found.ranking, found.warnings, found.problems, found.best) == ([], [], [], None)
    assert [(one.number, one.value, one.origin.source) for one in found.imported] == [
        (8, 99.0, "known.csv"),
        (9, 98.0, "known.csv"),
    ]
    with pytest.raises(UserError, match="has no complete trial yet"):
        best_configuration(found, "here")
    assert len(work_off(study)) == 8
    found = read_results(study)
    assert found.is_finished
    assert found.best is not None
    assert found.best.mean < 91
    assert (
        found.evidence[0]
        == found.reservations[0]
        == (
            "an imported trial has 99.00 %, better than the best that ran here: trial 8, of known.csv, "
            "learning_rate=0.001, batch_size=64, optimizer=Adam"
        )
    )
    chosen = best_configuration(found, "here")
    assert chosen.origin["trial"] < 8
    assert found.evidence[0] in chosen.origin["evidence"]
    outcome = Outcomes().now(study)
    assert outcome.best is not None
    assert (outcome.is_finished, outcome.best.mean, len(outcome.finished)) == (True, found.best.mean, 8)
    assert broken_promises_of(study, tmp_path) == []


def test_an_imported_result_that_is_not_better_needs_no_word(study: OpenStudy) -> None:
    import_results(study, results(90.0, 10.0), ONE)
    work_off(study, 1)
    assert not any("imported" in line for line in read_results(study).evidence)


def test_the_same_again_adds_nothing_and_a_call_may_be_repeated(study: OpenStudy) -> None:
    wanted = results(99.0, 98.0, 98.0)
    assert import_results(study, wanted, ONE, dry_run=True) == (2, 1)
    assert states(study) == [TrialState.WAITING] * 8
    for _ in range(2):
        assert import_results(study, wanted, ONE) == (2, 1)
    assert import_results(study, wanted, OTHER) == (0, 3)
    assert import_results(study, results(99.0, 97.0, source="other.csv"), "3" * 32) == (1, 1)
    assert len(states(study)) == 11
    with pytest.raises(UserError, match="import-trials: id: "):
        import_results(study, wanted, "no id")


def test_one_that_does_not_fit_leaves_the_study_as_it_is(study: OpenStudy) -> None:
    good = results(99.0).results
    for bad, complaint in (
        (results(101.0), "result 2: validation_accuracy: is 101, which no validation accuracy can have"),
        (results(90.0, learning_rate=0.5), r"result 2: learning_rate: 0\.5 is none of its values; write one"),
        (results(90.0, batch_size=64.0), "result 2: batch_size: should be a valid integer, not 64"),
        (
            results(90.0, epochs=3),
            "result 2: epochs: is 2 in all trials of this study, so that a result with 3",
        ),
        (results(90.0, nothing=3), "result 2: nothing: unknown training field"),
    ):
        with pytest.raises(UserError, match=f"^import-trials: {complaint}"):
            import_results(study, Import(source="x", results=[*good, *bad.results]), ONE)
    short = [ResultElsewhere(parameters={"learning_rate": 0.001}, value=1.0)]
    with pytest.raises(UserError, match=r"^import-trials: result 1: .*: missing"):
        import_results(study, Import(source="x", results=short), ONE)
    assert states(study) == [TrialState.WAITING] * 8


def test_a_target_is_not_reached_by_what_was_imported(tmp_path: Path) -> None:
    text = TINY_SPEC + "\n[stop]\ntarget = 95.0\nno_improvement = 100\n"
    study = new_study(tmp_path, text)
    import_results(study, results(99.0), ONE)
    assert len(work_off(study)) == 8
    assert not read_results(study).why_stopped


def test_a_race_judges_what_ran_here(tmp_path: Path) -> None:
    text = TINY_SPEC + "\n[replicates]\nstart = 2\nmax = 3\n"
    study = new_study(tmp_path, text)
    assert import_results(study, results(99.0), ONE) == (1, 0)
    assert read_results(study).imported[0].parameters == POINT | {"seed": 0}
    work_off(study)
    found = read_results(opened_again(study))
    assert found.is_finished
    assert found.race is not None
    assert all(place.candidate.mean < 95 for place in found.ranking)
    assert broken_promises_of(opened_again(study), tmp_path) == []


def test_stock_optuna_sees_complete_trials_and_the_grid_as_it_is(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    import_results(study, results(99.0), ONE)
    grid = study.spec.search.grid
    assert grid is not None
    stock = optuna.load_study(study_name="tiny", storage=f"sqlite:///{tmp_path}/studies.db")
    assert stock.best_trial.system_attrs[IMPORTED]["source"] == "known.csv"
    assert stock.best_trial.params == POINT
    assert not GridSampler(grid).is_exhausted(stock)
    work_off(study)
    assert GridSampler(grid).is_exhausted(stock)
    extend_study(study, Growth(values={"learning_rate": [0.003]}), OTHER)
    assert not GridSampler({**grid, "learning_rate": [0.001, 0.0001, 0.003]}).is_exhausted(stock)


def test_a_grid_that_grows_keeps_what_was_imported(study: OpenStudy, tmp_path: Path) -> None:
    import_results(study, results(99.0), ONE)
    wider = Growth(values={"learning_rate": [0.003], "weight_decay": [0.01]})
    extend_study(study, wider, OTHER)
    (one,) = read_results(opened_again(study)).imported
    assert one.parameters == POINT | {"weight_decay": 0.0}
    # The same result again, with or without the field that all trials had one value of.
    assert import_results(opened_again(study), results(99.0), "3" * 32) == (0, 1)
    assert import_results(opened_again(study), results(99.0, learning_rate=0.003), "4" * 32) == (1, 0)
    assert broken_promises_of(opened_again(study), tmp_path) == []


def test_a_copy_has_what_was_imported_and_deletion_takes_it_along(study: OpenStudy, tmp_path: Path) -> None:
    import_results(study, results(99.0), ONE)
    url = storage_url(f"sqlite:///{tmp_path}/copy.db")
    assert copy_study(study, url, "other").trials == 9
    copied = read_results(open_study(open_storage(url), "other"))
    assert copied.imported == read_results(study).imported
    delete_study(study)
    assert study_names(study.storage) == []


def test_fields_with_a_condition_are_whole(tmp_path: Path) -> None:
    space = 'momentum = {{low = 0.0, high = 0.9, when = {{optimizer = "SGD"}}}}\n'
    study = new_study(tmp_path, (TPE + space).format(n_trials=2))
    assert import_results(study, results(50.0, seed=7), ONE) == (1, 0)
    assert read_results(study).imported[0].parameters == POINT
    for changes, complaint in (
        ({"momentum": 0.5}, "momentum: is searched only where optimizer is 'SGD'"),
        ({"optimizer": "SGD"}, "momentum: missing: a result has a value of each searched field"),
        ({"optimizer": "SGD", "momentum": 0.95}, r"momentum: 0\.95 is outside its range, 0 to 0\.9"),
    ):
        with pytest.raises(UserError, match=f"^import-trials: result 1: {complaint}"):
            import_results(study, results(50.0, **changes), OTHER)
    assert import_results(study, results(50.0, optimizer="SGD", momentum=0.5), OTHER) == (1, 0)
    assert broken_promises_of(study, tmp_path) == []
