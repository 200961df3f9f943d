"""Samplers learn from what was imported; pruners, and what else is drawn, do not go by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.contract.claim import Standing
from mnist_tune.contract.study import WorkerFacts, new_token
from mnist_tune.results.reading import read_results
from mnist_tune.search.history import LearntFrom
from mnist_tune.spec.imports import Import, ResultElsewhere
from mnist_tune.study.direct import DirectStudy
from mnist_tune.study.imports import import_results
from tests.support.imported_results import ONE, results, work_off
from tests.support.specs import SAMPLED_SPEC, TINY_SPEC
from tests.support.stock_optuna import broken_promises_of
from tests.support.studies import folders, new_study, opened_again

TPE = SAMPLED_SPEC.replace('"random"', '"tpe"')


@pytest.mark.parametrize("sampler", ["tpe", pytest.param("gp", marks=pytest.mark.slow), "cmaes", "random"])
def test_samplers_see_what_was_imported(tmp_path: Path, sampler: str) -> None:
    text = SAMPLED_SPEC.replace('"random"', f'"{sampler}"').format(n_trials=4)
    study = new_study(tmp_path, text)
    wanted = [
        ResultElsewhere(
            parameters={"learning_rate": 10 ** (-1 - n / 5), "batch_size": 16 + n, "optimizer": "SGD"},
            value=50.0 + n,
        )
        for n in range(12)
    ]
    assert import_results(study, Import(source="x", results=wanted), ONE) == (12, 0)
    learnt = LearntFrom(study.storage, study.study_id).get_all_trials()
    assert [(trial.params, trial.value) for trial in learnt] == [
        (one.parameters, one.value) for one in wanted
    ]
    drawn = work_off(study)
    assert len(drawn) == 4
    assert read_results(study).is_finished
    assert broken_promises_of(study, tmp_path) == []
    # Trials of one number draw from the same random numbers: only what was learnt differs.
    without = new_study(tmp_path, text.replace('"tiny"', '"without"'))
    is_other = drawn != work_off(without)
    # CMA-ES learns from its own points alone, but draws none at random before, as it knows results.
    assert is_other is (sampler != "random")


def test_a_point_that_was_only_obtained_elsewhere_may_be_drawn(tmp_path: Path) -> None:
    text = SAMPLED_SPEC.format(n_trials=2)
    text = "\n".join(line for line in text.splitlines() if not line.startswith(("learning", "batch")))
    study = new_study(tmp_path, text)
    elsewhere = [ResultElsewhere(parameters={"optimizer": name}, value=50.0) for name in ("Adam", "SGD")]
    import_results(study, Import(source="x", results=elsewhere), ONE)
    assert {point["optimizer"] for point in work_off(study)} == {"Adam", "SGD"}
    assert broken_promises_of(study, tmp_path) == []


def test_a_pruner_compares_with_nothing_that_was_imported(tmp_path: Path) -> None:
    text = TINY_SPEC + '\n[pruner]\nname = "median"\nn_startup_trials = 2\n'
    study = new_study(tmp_path, text)
    import_results(study, results(99.0, 98.0, 97.0), ONE)
    direct, worker = DirectStudy(study, folders(tmp_path)), WorkerFacts.of_this_process("cpu")
    decisions = []
    for value in (90.0, 10.0, 5.0):
        claim = direct.claim(worker, new_token())
        assert not isinstance(claim, Standing)
        direct.record(claim, {"reports": {1: value}})
        decisions.append(direct.decide(claim).prune)
        direct.complete(claim, value, {"reports": {2: value}})
    assert decisions == [False, False, True]  # only the third has two to compare with


def test_samplers_within_brackets_and_before_a_race_see_what_was_imported(tmp_path: Path) -> None:
    brackets = '\n[pruner]\nname = "hyperband"\n\n[training]\nepochs = 9\n'
    race = "\n[replicates]\nstart = 2\nmax = 3\nof_top = 2\n"
    for number, more in enumerate((brackets, race)):
        text = TPE.format(n_trials=4).replace('"tiny"', f'"study-{number}"') + more
        study = new_study(tmp_path, text)
        assert import_results(study, results(*range(40, 60)), ONE) == (20, 0)
        assert len({one.number for one in read_results(study).imported}) == 20
        assert len(work_off(study)) >= 4
        found = read_results(opened_again(study))
        assert (found.is_finished, found.problems, len(found.imported)) == (True, [], 20)
        assert broken_promises_of(opened_again(study), tmp_path) == []
