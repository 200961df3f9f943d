"""What people change through the calls: control, workers, cells and settings, by each way to a storage."""

from __future__ import annotations

from pathlib import Path

import pytest
from optuna.trial import TrialState

from mnist_tune.contract.study import Control, WorkerFacts
from mnist_tune.errors import UserError
from mnist_tune.failures import Failure
from mnist_tune.queue.worker_registry import Registration
from mnist_tune.service.calls import Imported, StudiesForPeople
from mnist_tune.spec.growth import Amount, Growth
from mnist_tune.spec.imports import Import, ResultElsewhere
from mnist_tune.spec.revisions import Point
from mnist_tune.storage.optuna_internals import TABLES
from mnist_tune.study.open_study import OpenStudy
from tests.support.specs import TINY_SPEC, tiny_spec
from tests.support.studies import states, take

ONE, OTHER = "1" * 32, "2" * 32
NO_NUMBER = Failure("non_finite", "the loss is nan")


def test_a_study_is_paused_cancelled_and_resumed(study: OpenStudy, service: StudiesForPeople) -> None:
    for control in (Control.PAUSED, Control.CANCELLED, Control.CANCELLED, Control.RUNNING):
        service.set_control("tiny", control)
        assert service.results("tiny").control is control


def test_workers_are_asked_to_leave_by_name_or_host(study: OpenStudy, service: StudiesForPeople) -> None:
    Registration(study.storage, study.study_id, WorkerFacts.of_this_process("cpu")).register()
    (worker,) = service.results("tiny").workers
    assert service.drain("tiny", worker=worker.name) == [worker.name]
    assert service.drain("tiny", host=worker.host) == [worker.name]
    assert service.results("tiny").workers[0].state == "draining"
    with pytest.raises(UserError, match="no worker 'nobody' is on this study; there are: "):
        service.drain("tiny", worker="nobody")


def test_cells_that_failed_for_good_wait_again(study: OpenStudy, service: StudiesForPeople) -> None:
    queue = study.queue()
    for _ in range(2):
        assert queue.give_back(take(queue), NO_NUMBER)
    with pytest.raises(UserError, match="trial 5 is not the last attempt at a cell that failed for good"):
        service.retry("tiny", 5)
    one = service.retry("tiny", 1)
    assert (one.numbers, one.left, one.made_anew) == ([1], {}, [])
    assert service.retry("tiny").numbers == [0]
    assert states(study).count(TrialState.WAITING) == 8
    done = service.retry("tiny")
    assert (done.numbers, done.left, done.made_anew) == ([], {}, [])


def test_cells_that_somebody_has_deleted_are_made_anew(study: OpenStudy, service: StudiesForPeople) -> None:
    trial = study.storage.get_all_trials(study.study_id)[3]._trial_id
    with study.storage.transaction() as session:
        for table in reversed(TABLES.sorted_tables):
            if "trial_id" in table.c:
                session.execute(table.delete().where(table.c.trial_id == trial))
    assert service.results("tiny").deleted == [3]
    done = service.retry("tiny")
    assert (done.numbers, done.left, done.made_anew) == ([], {}, [3])
    assert service.results("tiny").deleted == service.retry("tiny").made_anew == []


def test_a_study_grows_once_for_each_time_that_it_is_asked_to(
    study: OpenStudy, service: StudiesForPeople
) -> None:
    wanted = Growth(values={"learning_rate": [0.003]})
    tried = service.extend("tiny", wanted, ONE, dry_run=True)
    assert (tried.added is not None, tried.spec.n_cells, service.spec("tiny").n_cells) == (True, 12, 8)
    first, again = service.extend("tiny", wanted, ONE), service.extend("tiny", wanted, ONE)
    assert first.added is not None
    assert first.added == again.added
    assert (first.added.cells, first.added.values, first.known) == (4, {"learning_rate": [0.003]}, [])
    assert service.extend("tiny", wanted, OTHER).added is None
    assert service.spec("tiny").n_cells == len(states(study)) == 12
    with pytest.raises(UserError, match=r"^extend: learning_rate: should be greater than 0, not -1"):
        service.extend("tiny", Growth(values={"learning_rate": [-1.0]}), OTHER)


def test_the_first_of_the_ranking_are_given_more_seeds(study: OpenStudy, service: StudiesForPeople) -> None:
    seeds = Growth(seeds=Amount(number=2, more=True))
    with pytest.raises(UserError, match=r"^extend: --top: no configuration is ranked yet; wait for"):
        service.extend("tiny", seeds, ONE, top=1)
    queue = study.queue()
    for value in (90.0, 95.0):
        queue.complete(take(queue), value)
    extended = service.extend("tiny", seeds, ONE, top=1)
    best = service.results("tiny").best
    assert extended.added is not None
    assert best is not None
    assert (extended.added.cells, best.n, best.n_wanted, best.mean) == (2, 1, 1, 95.0)
    waiting = [trial.params for trial in study.storage.get_all_trials(study.study_id)[8:]]
    assert waiting == [best.parameters | {"seed": seed} for seed in (1, 2)]
    assert not service.verify("tiny").broken


def test_a_known_point_becomes_a_cell_once(study: OpenStudy, service: StudiesForPeople) -> None:
    point: Point = {"learning_rate": 0.002, "batch_size": 64, "optimizer": "Adam"}
    in_the_grid: Point = point | {"learning_rate": 0.001}
    added = service.extend("tiny", Growth(points=[point, in_the_grid]), ONE)
    assert added.added is not None
    assert (added.added.cells, added.known, len(states(study))) == (1, [in_the_grid], 9)
    again = service.extend("tiny", Growth(points=[point]), OTHER)
    assert (again.added, again.known, service.spec("tiny").n_cells) == (None, [point], 9)
    with pytest.raises(UserError, match=r"^enqueue: optimizer: missing: a point of a grid names a value of "):
        service.extend("tiny", Growth(points=[{"learning_rate": 0.1, "batch_size": 1}]), OTHER)


def test_results_from_elsewhere_are_imported_once_all_or_none(
    study: OpenStudy, service: StudiesForPeople
) -> None:
    point: Point = {"learning_rate": 0.001, "batch_size": 64, "optimizer": "Adam"}
    good = [ResultElsewhere(parameters=point, value=value) for value in (99.0, 98.0)]
    wanted = Import(source="known.csv", results=good)
    assert service.import_trials("tiny", wanted, ONE, dry_run=True) == Imported(2, 0)
    assert service.import_trials("tiny", wanted, ONE) == Imported(2, 0)
    assert service.import_trials("tiny", wanted, ONE) == Imported(2, 0)
    assert service.import_trials("tiny", wanted, OTHER) == Imported(0, 2)
    assert [(one.parameters, one.value) for one in service.results("tiny").imported] == [
        (point, 99.0),
        (point, 98.0),
    ]
    new = ResultElsewhere(parameters=point, value=97.0)
    bad = ResultElsewhere(parameters=point | {"batch_size": 7}, value=99.5)
    with pytest.raises(UserError, match=r"^import-trials: result 2: batch_size: 7 is none of its values; "):
        service.import_trials("tiny", Import(source="known.csv", results=[new, bad]), OTHER)
    assert len(states(study)) == 10
    assert not service.verify("tiny").broken


def test_a_wider_spec_is_refused_with_what_it_would_add_or_added(
    study: OpenStudy, service: StudiesForPeople, tmp_path: Path
) -> None:
    wider = tiny_spec(tmp_path, TINY_SPEC.replace("[64, 128]", "[256, 128, 64]"))
    with pytest.raises(UserError, match=r"^study 'tiny' exists with fewer cells: .* = 256 \(4 cells\)"):
        service.create(wider)
    assert service.spec("tiny").n_cells == 8
    created = service.create(wider, extend=True)
    assert created.added is not None
    assert (created.is_new, created.added.cells, created.spec.n_cells) == (False, 4, 12)
    for extend in (True, False):
        again = service.create(wider, extend=extend)
        assert (again.is_new, again.added) == (False, None)
    narrower = tiny_spec(tmp_path)
    with pytest.raises(UserError, match="exists with another spec, and has grown since it was made: search"):
        service.create(narrower, extend=True)


def test_settings_are_changed_and_told_as_they_are_now(study: OpenStudy, service: StudiesForPeople) -> None:
    changes = {"limits.timeout": 3600, "retry.lost": 5}
    assert service.change_settings("tiny", changes) == {"limits.timeout": 3600.0, "retry.lost": 5}
    with pytest.raises(UserError, match=r"^set: retry\.lost: should be a valid integer, not 'many'$"):
        service.change_settings("tiny", {"retry.lost": "many"})
