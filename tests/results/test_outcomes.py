"""What has come of a study, read trial by trial, is what a whole reading of the study says."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from optuna.trial import TrialState, create_trial

from mnist_tune.errors import UserError
from mnist_tune.failures import Failure
from mnist_tune.records import columns
from mnist_tune.results import outcomes
from mnist_tune.results.outcomes import Outcome, Outcomes, glances
from mnist_tune.results.reading import read_results
from mnist_tune.service.direct import DirectStudies
from mnist_tune.storage.keys import CELL
from mnist_tune.study.delete import delete_study
from mnist_tune.study.open_study import OpenStudy
from tests.support.made_studies.cells import complete_all_cells, complete_cell, fail_all_cells, fail_cell
from tests.support.made_studies.epochs import made_epochs
from tests.support.reused_studies import MORE_SEEDS, reuse_results
from tests.support.specs import TINY_SPEC, TWO_CELLS, tiny_spec
from tests.support.studies import folders, new_study, opened_again, take

BROKEN = Failure("non_finite", "the loss is nan")
LOST = Failure("lost", "killed")


def check(study: OpenStudy, outcome: Outcome) -> None:
    """Compare with a whole reading of the study."""
    results = read_results(study)
    assert outcome.is_finished == results.is_finished
    assert (outcome.best and (outcome.best.parameters, outcome.best.mean, outcome.best.n)) == (
        results.best and (results.best.parameters, results.best.mean, results.best.n)
    )
    assert {(each.number, each.cell) for each in outcome.finished} == {
        (each.number, each.cell) for each in results.finished
    }
    assert {(each.number, each.attempt, str(each.failure)) for each in outcome.holes} == {
        (each.number, each.attempt, str(each.failure)) for each in results.holes
    }


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_it_is_what_the_results_say_after_every_step(tmp_path: Path, seed: int, database: str) -> None:
    study = new_study(tmp_path, MORE_SEEDS + "\n[retry]\nnon_finite = 1\n", database)
    luck, seen, queue = random.Random(seed), Outcomes(), study.queue()
    people = DirectStudies(opened_again(study).storage, lambda: folders(tmp_path))
    check(study, seen.now(study))
    running = []
    for step in range(60):
        claim = queue.claim("worker")
        if claim is not None:
            running.append(claim)
        if running and luck.random() < 0.8:
            claim = running.pop(luck.randrange(len(running)))
            value = round(luck.uniform(80, 99), 2)
            match luck.randrange(5):
                case 0:
                    queue.give_back(claim, luck.choice([BROKEN, LOST]))
                case 1:
                    queue.prune(claim, value, epochs=made_epochs([value]))
                case _:
                    queue.complete(claim, value, epochs=made_epochs([value]))
        if step % 20 == 19:
            people.retry("more")
        check(study, seen.now(study))


def test_what_other_programs_have_ended_counts_as_it_does_elsewhere(tmp_path: Path) -> None:
    study, seen = new_study(tmp_path), Outcomes()
    complete_cell(study, 90.0)
    check(study, seen.now(study))
    mine, first, second = study.optuna_study(), take(study.queue()), take(study.queue())
    mine.tell(first.number, 99.0)  # no worker has trained it
    mine.tell(second.number, state=TrialState.FAIL)  # any worker will put its cell back
    mine.add_trial(create_trial(value=100.0))  # of no cell
    outcome = seen.now(study)
    check(study, outcome)
    assert outcome.may_change_unseen
    study.queue().put_back_stale()
    check(study, seen.now(study))
    assert not seen.now(study).may_change_unseen
    with study.storage.transaction() as session:
        session.connection().exec_driver_sql("DELETE FROM trial_params WHERE trial_id = 1")
    check(study, Outcomes().now(study))


def test_a_trial_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study, seen, read = new_study(tmp_path), Outcomes(), list[int]()

    def read_columns(*given: object, only: list[int], **named: object) -> object:
        read.extend(only)
        return columns.read_columns(*given, only=only, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(outcomes, "read_columns", read_columns)
    monkeypatch.setattr(outcomes, "AT_ONCE", 3)
    for _ in range(5):
        complete_cell(study, 90.0)
    seen.now(study)
    fail_cell(study, LOST)
    for _ in range(3):
        check(study, seen.now(study))
    assert len(read) == len(set(read)) == 6


def test_a_study_that_takes_over_results_has_a_best_from_its_beginning(tmp_path: Path) -> None:
    old = new_study(tmp_path)
    complete_all_cells(old)
    study = reuse_results(old, tiny_spec(tmp_path, MORE_SEEDS))
    outcome = Outcomes().now(study)
    check(study, outcome)
    assert outcome.best is not None
    assert outcome.best.is_provisional


def test_a_glance_shows_that_trials_have_ended_and_no_claim(tmp_path: Path, database: str) -> None:
    study = new_study(tmp_path, TWO_CELLS, database)
    new_study(tmp_path, TINY_SPEC.replace("tiny", "other"), database)
    seen = [glances(study.storage)]
    assert [glance.name for glance in seen[0].values()] == ["tiny", "other"]
    claim = take(study.queue())
    study.queue().record(claim, epochs=made_epochs([50.0]))
    assert glances(study.storage) == seen[0]
    for change in (
        lambda: study.queue().complete(claim, 50.0),
        lambda: fail_cell(study, LOST),
        lambda: fail_all_cells(study, "nan"),
        lambda: DirectStudies(study.storage, lambda: folders(tmp_path)).retry("tiny"),
    ):
        change()
        seen.append(glances(study.storage))
        assert seen[-1][study.study_id] not in [each[study.study_id] for each in seen[:-1]]


def test_a_study_that_was_deleted_has_no_outcome(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    delete_study(opened_again(study))
    with pytest.raises(UserError, match="has been deleted meanwhile"):
        Outcomes().now(study)


def test_a_trial_whose_cell_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    study, seen = new_study(tmp_path), Outcomes()
    complete_cell(study, 90.0)
    complete_cell(study, 95.0)
    with study.storage.transaction() as session:
        session.connection().exec_driver_sql(
            "UPDATE trial_system_attributes SET value_json = '[' WHERE trial_id = 1 AND key = ?", (CELL,)
        )
    outcome = seen.now(study)
    assert [each.number for each in outcome.finished] == [1]
    assert not outcome.holes
