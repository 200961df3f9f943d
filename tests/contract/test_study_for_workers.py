"""The contract between a worker and a study, which each way to a study keeps: `StudyForWorkers`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mnist_tune.contract.claim import Claim, Standing
from mnist_tune.contract.study import Control, LeaseLost, StudyForWorkers
from mnist_tune.failures import Failure
from mnist_tune.files.checkpoints import Checkpoint, CheckpointFolder, checkpoint_key, load, save
from mnist_tune.queue.control import set_control
from mnist_tune.queue.worker_registry import ask_to_drain
from mnist_tune.results.reading import read_results
from mnist_tune.spec.growth import Growth
from mnist_tune.study.extend import extend_study
from mnist_tune.study.open_study import OpenStudy
from tests.contract.conftest import See
from tests.support.contract_calls import ME, asked, taken
from tests.support.specs import SAMPLED_SPEC, TWO_CELLS
from tests.support.studies import new_study, opened_again

STALE = Failure("lost", "it is gone")


def saved(worker: StudyForWorkers, claim: Claim, epoch: int) -> Checkpoint:
    """A state that the training process has left, and that the study has kept."""
    key = checkpoint_key(claim.trial_id, claim.token, epoch)
    checkpoint = save(CheckpointFolder(worker.state_folder), key, epoch, b"state")
    for _ in range(2):
        worker.keep_state(claim, checkpoint)
    return checkpoint


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def test_each_cell_is_claimed_once_and_then_the_study_is_finished(
    study: OpenStudy, worker: StudyForWorkers
) -> None:
    claims = [taken(worker), taken(worker)]
    assert (asked(worker), worker.standing()) == (Standing.OPEN, Standing.OPEN)
    assert [worker.parameters(claim) for claim in claims] == [
        {"learning_rate": rate} for rate in (claim.parameters["learning_rate"] for claim in claims)
    ]
    assert {claim.parameters["learning_rate"] for claim in claims} == {0.001, 0.0001}
    for claim in claims:
        worker.complete(claim, 90.0, {})
    assert (asked(worker), worker.standing()) == (Standing.FINISHED, Standing.FINISHED)
    assert [trial.value for trial in read_results(study).complete] == [90.0, 90.0]


def test_a_study_that_grows_under_a_worker_gives_it_the_new_cells(
    study: OpenStudy, worker: StudyForWorkers
) -> None:
    held = taken(worker)
    extend_study(study, Growth(values={"learning_rate": [0.003], "weight_decay": [0.01]}), "0" * 32)
    assert worker.parameters(held).items() >= held.parameters.items()
    seen = [held.parameters | {"weight_decay": 0.0}]
    worker.complete(held, 90.0, {})
    while isinstance(claim := asked(worker), Claim):
        seen.append(worker.parameters(claim))
        worker.complete(claim, 90.0, {})
    assert claim is Standing.FINISHED
    assert sorted((point["learning_rate"], point["weight_decay"]) for point in seen) == [
        (rate, decay) for rate in (0.0001, 0.001, 0.003) for decay in (0.0, 0.01)
    ]
    extend_study(study, Growth(values={"seed": [1]}), "1" * 32)
    assert worker.parameters(taken(worker))["seed"] == 1


def test_what_is_recorded_twice_is_stored_once(study: OpenStudy, worker: StudyForWorkers) -> None:
    claim = taken(worker)
    numbers = {"training_loss": 1.0, "validation_loss": 1.0, "validation_accuracy": 50.0, "seconds": 1.0}
    for _ in range(2):
        worker.record(claim, {"epochs": {1: numbers}, "reports": {1: 50.0}, "user": {"environment": {}}})
    (trial, _) = read_results(study).attempts
    assert [dict(epoch.numbers) for epoch in trial.history] == [numbers]
    worker.renew(claim)
    for _ in range(2):
        worker.complete(claim, 50.0, {"epochs": {1: numbers}, "reports": {1: 50.0}})
    assert [trial.value for trial in read_results(study).complete] == [50.0]


def test_a_pruned_attempt_ends_its_cell(study: OpenStudy, worker: StudyForWorkers) -> None:
    claim = taken(worker)
    for _ in range(2):
        worker.prune(claim, 40.0, {"reports": {1: 40.0}})
    assert read_results(study).cells.pruned == 1


def test_a_cell_that_is_given_back_begins_from_its_state(study: OpenStudy, worker: StudyForWorkers) -> None:
    claim = taken(worker)
    checkpoint = saved(worker, claim, 1)
    pointer = {"key": checkpoint.key, "sha256": checkpoint.sha256, "epoch": 1}
    worker.record(claim, {"system": {"mnist_tune:checkpoint": pointer}})
    for _ in range(2):  # the second time it is known to be done
        worker.give_back(claim, Failure("preempted", "drained"), {})
    taken(worker)
    again = taken(worker)
    assert (again.checkpoint, again.parameters) == (checkpoint, claim.parameters)
    worker.fetch_state(again)
    assert load(CheckpointFolder(worker.state_folder), checkpoint) == b"state"
    first = read_results(study).attempts[0]
    assert (first.state, first.failure) == ("failed", {"class": "preempted", "reason": "drained"})


@pytest.mark.parametrize("what", ["renew", "record", "complete", "prune", "give_back"])
def test_without_its_lease_an_attempt_changes_nothing(
    study: OpenStudy, worker: StudyForWorkers, what: str
) -> None:
    claim = taken(worker)
    # With a reason: whoever watches the study, as a head does, would add one to an attempt that has none.
    assert opened_again(study).queue().give_back(claim, Failure("lost", "it was silent"))
    before = read_results(study).attempts[0]
    calls = {
        "renew": lambda: worker.renew(claim),
        "record": lambda: worker.record(claim, {"user": {"environment": {"device": "cpu"}}}),
        "complete": lambda: worker.complete(claim, 99.0, {}),
        "prune": lambda: worker.prune(claim, 99.0, {}),
        "give_back": lambda: worker.give_back(claim, STALE, {}),
    }
    with pytest.raises(LeaseLost):
        calls[what]()
    assert read_results(study).attempts[0] == before


def test_a_worker_is_told_to_drain_and_what_holds_for_the_study(
    study: OpenStudy, worker: StudyForWorkers
) -> None:
    orders = worker.beat(ME, None, None)
    assert (orders.control, orders.drain) == (Control.RUNNING, False)
    set_control(study.storage, study.study_id, Control.PAUSED)
    assert (worker.beat(ME, 0, 12.5).control, asked(worker), worker.standing()) == (
        Control.PAUSED,
        Standing.PAUSED,
        Standing.PAUSED,
    )
    (registered,) = read_results(study).workers
    assert (registered.trial, registered.units_per_second) == (0, 12.5)
    ask_to_drain(study.storage, study.study_id, host=registered.host)
    assert worker.beat(ME, None, None).drain
    worker.leave(ME, "it was drained")
    assert read_results(study).workers[0].departure == "it was drained"


def test_a_worker_is_told_that_a_study_has_stopped_and_why(database: str, tmp_path: Path, see: See) -> None:
    study = new_study(tmp_path, TWO_CELLS + "\n[stop]\ntarget = 90.0\n", database)
    worker = see(opened_again(study))
    assert worker.stopped() is None
    worker.complete(taken(worker), 95.0, {})
    assert (asked(worker), worker.standing()) == (Standing.STOPPED, Standing.STOPPED)
    reason = worker.stopped()
    assert reason is not None
    assert reason.told(study.spec.description) == "trial 0 has 95.00 %, and the target is 90.00 %"
    assert worker.beat(ME, None, None).control is Control.STOPPED
    set_control(study.storage, study.study_id, Control.RUNNING)
    assert isinstance(asked(worker), Claim)


def test_a_silent_attempts_cell_is_put_back(database: str, tmp_path: Path, see: See) -> None:
    lease = "\n[lease]\nheartbeat_interval = 0.1\ngrace_period = 0.3\n"
    study = new_study(tmp_path, TWO_CELLS + lease, database)
    worker = see(opened_again(study))
    claim = taken(worker)
    while read_results(study).attempts[0].state == "running":
        worker.put_back_stale()
        time.sleep(0.01)
    with pytest.raises(LeaseLost):
        worker.renew(claim)
    assert [trial.state for trial in read_results(study).attempts] == ["failed", "waiting", "waiting"]


def test_missing_parameters_are_drawn_and_the_same_when_asked_again(
    database: str, tmp_path: Path, see: See
) -> None:
    study = new_study(tmp_path, SAMPLED_SPEC.format(n_trials=2), database)
    worker = see(opened_again(study))
    claim = taken(worker)
    assert claim.parameters == {}
    drawn = worker.parameters(claim)
    assert set(drawn) == set(study.spec.search.axes)
    assert worker.parameters(claim) == drawn
    assert read_results(study).attempts[0].parameters == drawn


def test_a_ticket_for_which_nothing_is_left_to_draw_is_closed_and_its_worker_hears_why(
    database: str, tmp_path: Path, see: See
) -> None:
    search = '[search]\nsampler = "random"\nn_trials = 3\n[search.space]\nseed = [0]\n'
    one_point = f'[study]\nname = "tiny"\n{search}'
    study = new_study(tmp_path, one_point, database)
    worker = see(opened_again(study))
    first, second = taken(worker), taken(worker)
    assert worker.parameters(first) == {"seed": 0}
    with pytest.raises(LeaseLost, match=r"^2 trials left out: the space has only 1 configuration$"):
        worker.parameters(second)
    with pytest.raises(LeaseLost, match=r"^nothing is left to be drawn for it$"):
        worker.parameters(second)
    worker.complete(first, 90.0, {})
    assert asked(worker) is Standing.FINISHED
    assert read_results(study).cells.total == 1


def test_the_pruner_decides_from_what_is_stored(database: str, tmp_path: Path, see: See) -> None:
    median = '\n[pruner]\nname = "median"\nn_startup_trials = 1\nn_warmup_steps = 0\n'
    study = new_study(tmp_path, TWO_CELLS + median, database)
    worker = see(opened_again(study))
    assert worker.prunes
    good, bad = taken(worker), taken(worker)
    worker.complete(good, 90.0, {"reports": {1: 90.0}})
    worker.record(bad, {"reports": {1: 10.0}})
    assert worker.decide(bad).prune


def test_files_are_kept_and_states_swept(study: OpenStudy, worker: StudyForWorkers, tmp_path: Path) -> None:
    claim = taken(worker)
    kept = worker.keep_files(claim, {"model.bin": b"weights"})
    assert kept == worker.keep_files(claim, {"model.bin": b"weights"})  # a second call replaces the first
    (pointer,) = kept.values()
    assert json.loads(pointer)["filename"] == "model.bin"
    old, new = saved(worker, claim, 1), saved(worker, claim, 2)
    for _ in range(2):
        worker.delete_state(old)
    worker.sweep()
    assert names_in(worker.state_folder) == {new.key}  # its trial runs, and may soon point to it
    worker.complete(claim, 90.0, {"system": kept})
    worker.complete(taken(worker), 90.0, {})
    worker.sweep(is_over=True)
    assert not worker.state_folder.exists()
    assert read_results(study).attempts[0].artifacts.keys() == {"model.bin"}


def test_a_workers_loop_needs_neither_optuna_nor_a_database() -> None:
    modules = "mnist_tune.worker.loop, mnist_tune.worker.runner, mnist_tune.worker.child"
    code = f"import sys, {modules}; print({{'optuna', 'sqlalchemy', 'torch'}} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout == "set()\n"
