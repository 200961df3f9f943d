"""A study grows while it is worked on: each cell is there once, and all that read the study agree."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from mnist_tune.contract.claim import Standing
from mnist_tune.contract.study import WorkerFacts, new_token
from mnist_tune.errors import UserError
from mnist_tune.failures import Failure
from mnist_tune.results.reading import read_results
from mnist_tune.spec.growth import Amount, Growth
from mnist_tune.storage.engine import storage_url
from mnist_tune.study.copy import copy_study
from mnist_tune.study.delete import delete_study
from mnist_tune.study.direct import DirectStudy
from mnist_tune.study.extend import Extension, extend_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.retry import make_deleted_cells, put_back_holes
from mnist_tune.study.reuse import create_study_reusing
from mnist_tune.study.store import open_study
from mnist_tune.verification import verify
from tests.support.commands import finish, start_toy_worker
from tests.support.specs import SAMPLED_SPEC, TINY_SPEC, tiny_spec
from tests.support.studies import folders, new_study, opened_again, states, take

RATE = Growth(values={"learning_rate": [0.003]})
DECAY = Growth(values={"weight_decay": [0, 0.01]})
SEEDS = Growth(seeds=Amount(number=2, more=True))
LOST = Failure("lost", "the worker died")
NO_NUMBER = Failure("non_finite", "the loss is nan")


def grow(study: OpenStudy, wanted: Growth) -> Extension:
    """Extend the study as another process does."""
    return extend_study(opened_again(study), wanted, new_token())


def finish_all(study: OpenStudy) -> None:
    """Complete every cell that waits."""
    queue = opened_again(study).queue()
    while (claim := queue.claim("worker")) is not None:
        queue.complete(claim, 90.0)


def broken(study: OpenStudy, folder: Path) -> list[str]:
    """What `verify` finds that is no remark."""
    return [
        str(outcome) for outcome in verify(study.storage, study.name, folder / "artifacts", folder).broken
    ]


def points(study: OpenStudy) -> list[dict[str, Any]]:
    return [trial.params for trial in study.storage.get_all_trials(study.study_id)]


def distinct(found: list[dict[str, Any]]) -> int:
    return len({tuple(sorted(point.items())) for point in found})


def test_a_finished_grid_is_open_again_and_each_new_cell_waits_once(study: OpenStudy, tmp_path: Path) -> None:
    finish_all(study)
    before = points(study)
    extension = grow(study, RATE)
    assert extension.revision is not None
    assert (extension.revision.cells, extension.spec.n_cells) == (4, 12)
    assert points(study)[:8] == before
    assert all(point["learning_rate"] == 0.003 for point in points(study)[8:])
    assert distinct(points(study)) == 12
    results = read_results(study)
    assert (results.is_finished, results.cells.complete, results.cells.waiting) == (False, 8, 4)
    finish_all(study)
    assert read_results(study).is_finished
    assert broken(study, tmp_path) == []


def test_old_cells_count_as_having_the_value_of_a_new_axis_that_they_had(
    study: OpenStudy, tmp_path: Path
) -> None:
    queue = study.queue()
    queue.complete(take(queue), 90.0)
    grow(study, DECAY)
    assert [point["weight_decay"] for point in points(study)] == [0.0] * 8 + [0.01] * 8
    assert opened_again(study).spec.search.grid is not None
    assert "weight_decay" not in opened_again(study).spec.document()["training"]
    assert broken(study, tmp_path) == []


def test_a_study_grows_again_and_again_in_each_way(study: OpenStudy, tmp_path: Path) -> None:
    queue = study.queue()
    assert queue.give_back(take(queue), LOST)  # waits again, last of all
    for wanted, cells in (
        (RATE, 12),
        (SEEDS, 36),
        (RATE, 36),
        (DECAY, 72),
        (Growth(values={"seed": [7]}), 96),
    ):
        grow(study, wanted)
        assert opened_again(study).spec.n_cells == cells
        assert broken(study, tmp_path) == []
    assert distinct(points(study)) == 96
    grown = opened_again(study).spec
    assert grown.search.grid is not None
    assert grown.search.grid["seed"] == [0, 1, 2, 7]
    assert sum(revision.cells for revision in grown.search.revisions or ()) == 96 - 8


def test_a_sampled_search_is_given_more_tickets(database: str, tmp_path: Path) -> None:
    study = new_study(tmp_path, SAMPLED_SPEC.format(n_trials=2), database)
    finish_all_sampled(study)
    for amount, cells in ((Amount(number=3, more=True), 5), (Amount(number=5), 5), (Amount(number=6), 6)):
        grow(study, Growth(n_trials=amount))
        assert opened_again(study).spec.n_cells == len(states(study)) == cells
    finish_all_sampled(study)
    assert states(study) == [TrialState.COMPLETE] * 6
    assert broken(study, tmp_path) == []
    with pytest.raises(UserError, match=r"^extend: optimizer: the study samples its points; give "):
        grow(study, Growth(values={"optimizer": ["SGD"]}))


def finish_all_sampled(study: OpenStudy) -> None:
    """Have workers draw and complete every ticket."""
    direct = DirectStudy(opened_again(study), folders(Path("/nowhere")))
    worker = WorkerFacts.of_this_process("cpu")
    while not isinstance(claim := direct.claim(worker, new_token()), Standing):
        assert direct.parameters(claim).keys() == study.spec.search.axes.keys()
        direct.complete(claim, 90.0, {"reports": {1: 90.0}})


def test_workers_that_were_there_before_take_the_new_cells(study: OpenStudy, tmp_path: Path) -> None:
    direct, worker = DirectStudy(study, folders(tmp_path)), WorkerFacts.of_this_process("cpu")
    held = direct.claim(worker, new_token())
    assert not isinstance(held, Standing)
    grow(study, Growth(values=RATE.values | DECAY.values))
    # Its cell has one value more now, the one that it has had all along.
    assert direct.parameters(held) in (held.parameters, held.parameters | {"weight_decay": 0.0})
    direct.complete(held, 90.0, {})
    seen = []
    while not isinstance(claim := direct.claim(worker, new_token()), Standing):
        seen.append(direct.parameters(claim))
        direct.complete(claim, 90.0, {})
    assert claim is Standing.FINISHED
    assert len(seen) == distinct(seen) == 23
    assert {(point["learning_rate"], point["weight_decay"]) for point in seen} == {
        (rate, decay) for rate in (0.001, 0.0001, 0.003) for decay in (0.0, 0.01)
    }
    assert broken(study, tmp_path) == []


def test_what_failed_before_is_tried_again_after_the_study_has_grown(
    study: OpenStudy, tmp_path: Path
) -> None:
    queue = study.queue()
    held, hole = take(queue), take(queue)
    assert queue.give_back(hole, NO_NUMBER)
    stale = opened_again(study)
    grow(study, Growth(values=RATE.values | DECAY.values))
    assert queue.give_back(held, LOST)
    assert put_back_holes(stale).numbers == [hole.number]
    assert points(study)[-2:] == [one.parameters | {"weight_decay": 0.0} for one in (held, hole)]
    assert broken(study, tmp_path) == []


def test_deleted_cells_of_a_grown_study_are_made_anew(study: OpenStudy, tmp_path: Path) -> None:
    stale = opened_again(study)
    grow(study, RATE)
    trial = study.storage.get_all_trials(study.study_id)[10]
    with study.storage.transaction() as session:
        for table in ("trial_params", "trial_system_attributes", "trials"):
            session.connection().exec_driver_sql(f"DELETE FROM {table} WHERE trial_id = {trial._trial_id}")
    assert make_deleted_cells(stale) == [10]
    assert points(study)[-1] == trial.params
    assert distinct(points(study)) == 12


@pytest.mark.parametrize("renamed", [None, "other"])
def test_a_copy_of_a_study_that_has_grown_since_it_was_opened_is_whole(
    study: OpenStudy, tmp_path: Path, renamed: str | None
) -> None:
    stale = opened_again(study)
    grow(study, RATE)
    take(study.queue())
    url = storage_url(f"sqlite:///{tmp_path}/copy.db")
    copied = copy_study(stale, url, renamed, folders(tmp_path), folders(tmp_path / "copy"))
    copy = open_study(type(study.storage)(url), copied.name)
    assert (copied.trials, copied.put_back, copy.spec.n_cells) == (12, 1, 12)
    assert copy.spec.revisions == opened_again(study).spec.revisions
    grow(copy, DECAY)
    assert broken(copy, tmp_path) == []


def test_cells_of_a_grown_study_are_reused_and_deleting_it_leaves_nothing(
    old_study: OpenStudy, tmp_path: Path
) -> None:
    grow(old_study, DECAY)
    wider = TINY_SPEC.replace("tiny", "new").replace("[64, 128]", "[64, 128]\nweight_decay = [0.0, 0.01]")
    assert create_study_reusing(old_study.storage, tiny_spec(tmp_path, wider), "tiny") == (True, 3)
    delete_study(old_study)
    assert broken(open_study(old_study.storage, "new"), tmp_path) == []


def test_two_that_extend_at_once_add_each_cell_once(study: OpenStudy, tmp_path: Path) -> None:
    wanted = [RATE, DECAY, SEEDS, RATE, Growth(values={"batch_size": [32]})]
    with ThreadPoolExecutor(len(wanted)) as threads:
        done = list(threads.map(lambda one: grow(study, one), wanted))
    assert sum(each.revision is None for each in done) == 1  # one of those that add the rate
    assert opened_again(study).spec.n_cells == len(states(study)) == 3 * 3 * 2 * 2 * 3
    assert distinct(points(study)) == 108
    assert broken(study, tmp_path) == []


def test_a_study_grows_under_its_workers_and_each_cell_ends_once(
    study: OpenStudy, database: str, tmp_path: Path
) -> None:
    workers = [start_toy_worker(tmp_path, seconds=0.02, url=database) for _ in range(3)]
    grow(study, Growth(values={"seed": list(range(1, 9))}))  # enough to keep them until the next
    for wanted in (RATE, DECAY):
        grow(study, wanted)
    answers = [finish(worker) for worker in workers]
    assert [(answer.returncode, answer.stderr) for answer in answers] == [(0, "")] * 3
    results = read_results(opened_again(study))
    assert (results.cells.total, results.is_finished) == (3 * 4 * 9 * 2, True)
    assert states(study) == [TrialState.COMPLETE] * 216
    assert broken(study, tmp_path) == []
