"""What people see of a study on a terminal and in a log."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from optuna.trial import Trial
from rich.console import Console, RenderableType

from mnist_tune.attributes import ENVIRONMENT, HISTORY
from mnist_tune.failures import Failure
from mnist_tune.live_view import overview
from mnist_tune.progress import conclusion, events, failures, seconds_left, totals
from mnist_tune.results import Results, read_results
from mnist_tune.studies import OpenStudy
from mnist_tune.tables import attempts_table, ranking
from mnist_tune.wording import clock, duration
from tests.support import new_study

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
    trial = Trial(study.optuna_study(), claim.trial_id)
    history = [
        {"epoch": epoch, "validation_accuracy": accuracy, **EPOCH}
        for epoch, accuracy in enumerate(accuracies, start=1)
    ]
    trial.set_user_attr(ENVIRONMENT, {"precision": precision, "threads": 1, "device_name": "a CPU"})
    trial.set_user_attr(HISTORY, history)
    if complete:
        queue.complete(claim, accuracies[-1])


def drawn(table: RenderableType, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_overview_fits_into_80_columns(study: OpenStudy) -> None:
    run_epochs(study, [90.0, 98.76], complete=True)
    run_epochs(study, [90.5], complete=False)
    text = " ".join(drawn(overview(read_results(study))).split())
    assert "0 0.0001 128 Adam ✓ complete 2/2 0.2500 98.76 % 1,234" in text
    assert "▶ running 1/2 0.2500 90.50 %" in text
    assert "…" not in text


def test_a_crowded_overview_keeps_what_runs(study: OpenStudy) -> None:
    run_epochs(study, [90.0, 98.76], complete=True)
    run_epochs(study, [90.5], complete=False)
    text = drawn(overview(read_results(study), max_rows=1))
    assert "running" in text
    assert "complete" not in text
    assert "... and 7 more cells" in text


def test_the_ranking_puts_the_best_first_and_of_equals_the_earlier(study: OpenStudy) -> None:
    for accuracy in (91.0, 95.0, 95.0):
        run_epochs(study, [accuracy], complete=True)
    results = read_results(study)
    assert [place.candidate.first.number for place in results.ranking] == [1, 2, 0]
    assert results.best is not None
    assert results.best.first.number == 1
    assert "95.00 %" in drawn(ranking(results)).splitlines()[4]


def test_the_attempts_show_every_epoch_and_the_worker(study: OpenStudy) -> None:
    run_epochs(study, [91.0, 92.5], complete=True)
    text = drawn(attempts_table(read_results(study)), width=120)
    assert "91.00 92.50" in text
    assert "machine:1" in text


def test_events_are_told_once_each(study: OpenStudy) -> None:
    before = read_results(study)
    run_epochs(study, [91.0], complete=True)
    after = read_results(study)
    begins, epoch, complete = events(before, after)
    assert begins == "trial 0 begins: learning_rate=0.0001, batch_size=128, optimizer=Adam"
    assert epoch.startswith("trial 0 epoch 1/2: training loss 0.5000, ")
    assert epoch.endswith("validation accuracy 91.00 %, 1,234 images/s")
    assert complete.startswith("trial 0 complete; 1/8 cells, 7 waiting, best 91.00 % (trial 0)")
    assert list(events(after, after)) == []


def test_the_time_left_is_the_epochs_to_go_at_the_pace_so_far(study: OpenStudy) -> None:
    assert seconds_left(read_results(study)) is None
    run_epochs(study, [90.0, 91.0], complete=True)
    run_epochs(study, [90.5], complete=False)
    run_epochs(study, [90.5], complete=False)
    # 5 waiting cells of 2 epochs and 2 running with 1 to go, 10 s each, two at a time.
    assert seconds_left(read_results(study)) == 60.0
    assert totals(read_results(study)).endswith("ETA 1 min 0 s")


def test_a_hole_is_named_with_its_reason(study: OpenStudy) -> None:
    queue = study.queue()
    claim = queue.claim("machine:1")
    assert claim is not None
    queue.give_back(claim, Failure("non_finite", "training loss is nan in epoch 1\nmore"))
    results = read_results(study)
    assert list(failures(results)) == ["trial 0 failed: non_finite: training loss is nan in epoch 1"]
    assert list(conclusion(results)) == [
        "missing: cell 0 (learning_rate=0.0001, batch_size=128, optimizer=Adam) failed for good: "
        "training loss is nan in epoch 1"
    ]


def test_cells_that_ran_differently_are_warned_about(study: OpenStudy) -> None:
    run_epochs(study, [91.0], complete=True, precision="fp32")
    assert read_results(study).warnings == []
    run_epochs(study, [91.0], complete=True, precision="bf16")
    assert read_results(study).warnings == ["cells differ in precision (bf16, fp32): not like for like"]


def test_a_finished_study_says_how_to_export_its_best(study: OpenStudy) -> None:
    for accuracy in range(90, 98):
        run_epochs(study, [float(accuracy)], complete=True)
    results: Results = read_results(study)
    assert results.is_finished
    assert list(conclusion(results))[-1] == "export it with: mnist-tune export tiny --output best.toml"


def test_durations_read_as_people_say_them() -> None:
    assert [duration(seconds) for seconds in (45, 200, 7500)] == ["45 s", "3 min 20 s", "2 h 5 min"]
    assert [clock(seconds) for seconds in (5, 415, 3723)] == ["0:05", "6:55", "1:02:03"]
