"""The lines about a study on a terminal and in a log."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from mnist_tune.contract.study import Control, WorkerFacts
from mnist_tune.failures import Failure
from mnist_tune.queue.worker_registry import Registration, WorkerState
from mnist_tune.results.reading import read_results
from mnist_tune.results.study_results import Results
from mnist_tune.storage.keys import ENVIRONMENT
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.terminal.events import conclusion, events
from mnist_tune.terminal.tables import ranking, workers_table
from mnist_tune.text.wording import clock, duration
from tests.support.made_studies.results import made_results, made_worker
from tests.support.studies import new_study

EPOCH = {
    "training_loss": 0.5,
    "validation_loss": 0.25,
    "images_per_second": 1234.5,
    "seconds": 10.0,
}


@pytest.fixture
def study(tmp_path: Path) -> OpenStudy:
    return new_study(tmp_path)


def run_epochs(study: OpenStudy, accuracies: list[float], *, complete: bool, precision: str = "fp32") -> None:
    """Claim a cell and report epochs for it."""
    queue = study.queue()
    claim = queue.claim("machine:1")
    assert claim is not None
    environment = {"precision": precision, "threads": 1, "device_name": "a CPU"}
    history = {
        epoch: {"validation_accuracy": accuracy, **EPOCH}
        for epoch, accuracy in enumerate(accuracies, start=1)
    }
    queue.record(claim, user={ENVIRONMENT: environment}, epochs=history)
    if complete:
        queue.complete(claim, accuracies[-1])


def drawn(table: RenderableType, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_ranking_puts_the_best_first_and_of_equals_the_earlier(study: OpenStudy) -> None:
    for accuracy in (91.0, 95.0, 95.0):
        run_epochs(study, [accuracy], complete=True)
    results = read_results(study)
    assert [place.candidate.first.number for place in results.ranking] == [1, 2, 0]
    assert results.best is not None
    assert results.best.first.number == 1
    assert "95.00 %" in drawn(ranking(results)).splitlines()[4]


def test_events_are_told_once_each(study: OpenStudy) -> None:
    before = read_results(study)
    run_epochs(study, [91.0], complete=True)
    after = read_results(study)
    begins, epoch, complete = events(before, after)
    assert begins == "trial 0 begins: learning_rate=0.0001, batch_size=128, optimizer=Adam"
    assert epoch.startswith("trial 0 epoch 1/2: training loss 0.5000, ")
    assert epoch.endswith("validation accuracy 91.00 %, 1,234 images/s")
    assert complete.startswith("trial 0 complete; 1/8 cells, 7 waiting, best so far 91.00 % (trial 0)")
    assert list(events(after, after)) == []


def test_workers_that_come_and_go_and_orders_are_events() -> None:
    before = made_results(running=0)
    here = made_worker("machine:1", state="idle")
    joined = replace(before, workers=[here], control=Control.PAUSED)
    gone = replace(joined, workers=[replace(here, state=WorkerState.LEFT, departure="was\n\x1basked")])
    silent = replace(joined, workers=[replace(here, state=WorkerState.SILENT)])
    assert list(events(before, joined)) == ["the study is paused", "worker machine:1 is here, on cpu (a CPU)"]
    assert list(events(joined, gone)) == ["worker machine:1 left: was"]
    assert list(events(joined, silent)) == ["worker machine:1 is silent"]
    assert list(events(silent, silent)) == []


def test_epochs_of_the_attempt_before_are_not_told_again() -> None:
    before = made_results(running=1)
    resumed = replace(before.attempts[4], resumed={"epoch": 3, "checkpoint": "1-3"})
    now = replace(before, attempts=[*before.attempts[:4], resumed, *before.attempts[5:]])
    begins, epoch = events(replace(now, attempts=now.attempts[:4]), now)
    assert begins.startswith("trial 4 begins: ")
    assert epoch.startswith("trial 4 epoch 4/10: ")


def test_a_hole_is_named_with_its_reason(study: OpenStudy) -> None:
    queue = study.queue()
    claim = queue.claim("machine:1")
    assert claim is not None
    queue.give_back(claim, Failure("non_finite", "training loss is nan in epoch 1\nmore"))
    results = read_results(study)
    assert list(conclusion(results)) == [
        "missing: cell 0 (learning_rate=0.0001, batch_size=128, optimizer=Adam) failed for good: "
        "training loss is nan in epoch 1",
        "put back what is missing with: mnist-tune retry tiny --failed",
    ]


def test_cells_that_ran_differently_are_warned_about(study: OpenStudy) -> None:
    run_epochs(study, [91.0], complete=True, precision="fp32")
    assert read_results(study).warnings == []
    run_epochs(study, [91.0], complete=True, precision="bf16")
    assert read_results(study).warnings == ["cells differ in precision (bf16, fp32): not like for like"]


def test_stored_text_cannot_command_the_terminal(study: OpenStudy) -> None:
    run_epochs(study, [91.0], complete=True, precision="fp32\x1b[31m")
    run_epochs(study, [91.0], complete=True, precision="bf16\x1b]0;mine\x07")
    (warning,) = read_results(study).warnings
    assert "\x1b" not in warning
    Registration(study.storage, study.study_id, WorkerFacts.of_this_process("cuda\x1b[31m")).register()
    assert "\x1b" not in drawn(workers_table(read_results(study)), width=120)


def test_a_finished_study_says_how_to_export_its_best(study: OpenStudy) -> None:
    for accuracy in range(90, 98):
        run_epochs(study, [float(accuracy)], complete=True)
    results: Results = read_results(study)
    assert results.is_finished
    assert list(conclusion(results))[-1] == "export it with: mnist-tune export tiny --output best.toml"


def test_durations_read_as_people_say_them() -> None:
    assert [duration(seconds) for seconds in (45, 200, 7500)] == ["45 s", "3 min 20 s", "2 h 5 min"]
    assert [clock(seconds) for seconds in (5, 415, 3723)] == ["0:05", "6:55", "1:02:03"]
