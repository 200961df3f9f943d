"""The benchmarks of the job run and have the right result types; no test compares their speed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mnist_tune.hardware.devices import resolve_runtime
from mnist_tune.jobs.mnist.dataset import load_training_images
from mnist_tune.jobs.mnist.hyperparameters import DataConfig
from tests.benchmarks import busy_machine, trial_cost
from tests.benchmarks.job_task import Cell, Task, Trained
from tests.benchmarks.memory import Peaks, watched
from tests.benchmarks.step_profile import profile
from tests.benchmarks.training_sides import Limit, Run, Scripts
from tests.benchmarks.training_speed import FLOPS_PER_IMAGE, cells, measure, sides, table

CPU = resolve_runtime("cpu")


def task(data: Path, of: tuple[Cell, ...] = (), train_size: int = 640) -> Task:
    return Task(of, 1, train_size, train_size // 5, "cpu", CPU.precision, data)


def trained(batch_size: int, began: float, ended: float) -> Trained:
    return Trained(Cell(0.001, batch_size, "Adam", 0), began, began, ended, 50.0)


def test_an_image_costs_three_times_its_forward_products() -> None:
    assert pytest.approx(97.7e6, rel=1e-3) == FLOPS_PER_IMAGE


def test_rates_count_training_images_over_wall_clock() -> None:
    run = Run([trained(64, 0, 10), trained(64, 1, 11), trained(128, 11, 16), trained(128, 11, 16)], 2, 1.0, 0)
    assert run.images_per_second(train_size=100, epochs=2) == 4 * 200 / 16
    assert run.images_per_second_of(64, train_size=100, epochs=2) == 2 * 200 / 10
    assert run.images_per_second_of(128, train_size=100, epochs=2) == 2 * 200 / 5


def test_every_process_has_its_share_of_each_batch_size() -> None:
    grid = cells(seed=3)
    assert len(set(grid)) == 8
    for processes in (1, 2, 4):
        for index in range(processes):
            sizes = [cell.batch_size for cell in grid[index::processes]]
            assert sizes.count(64) == sizes.count(128) == 4 // processes


@pytest.mark.slow
def test_the_memory_of_a_worker_is_its_own_and_that_of_what_it_starts() -> None:
    grandchild = "import time; held = b'x' * 100_000_000; print(flush=True); time.sleep(1)"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}])"
    # In a process of its own: this one may have a fork server, which is as large.
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with subprocess.Popen([sys.executable, "-c", parent]) as process, watched(process.pid) as peaks:
        process.wait()
    assert 105e6 < max(peaks.of_each_child(process.pid)) < 250e6


def test_the_memory_of_a_worker_is_told_from_that_of_the_others_below_its_fork_server() -> None:
    sizes = {1: 50, 2: 9, 3: 400, 10: 300, 11: 310, 20: 520, 21: 510}  # a run, two helpers, the pairs
    parents = {2: 1, 3: 1, 10: 3, 11: 3, 20: 3, 21: 3}
    assert Peaks(sizes, parents).of_a_worker_and_its_training(1) == 310 + 520


@pytest.mark.slow
def test_all_sides_train_the_grid_side_by_side(mnist_directory: Path) -> None:
    chosen = sides(2)
    measurement = measure(chosen, task(mnist_directory, train_size=320), 1, Limit(2))
    assert list(measurement.sides) == ["plain", "plain-each-core", "crafted", "ours", "ours-alone"]
    for figures in measurement.sides.values():
        assert 0 < figures.images_per_second.lowest <= figures.images_per_second.highest
        assert figures.batch_64.lowest > 0
        assert figures.batch_128.lowest > 0
        assert figures.seconds_to_first_epoch.lowest > 0
        assert 200 < figures.peak_memory.lowest < 2_000
    assert measurement.sides["ours"].times_as_fast.median == 1
    assert measurement.limit is not None
    assert measurement.limit.share.lowest > 0
    assert measurement.adam is not None
    assert measurement.adam.pairs == 4
    assert len(table(measurement).splitlines()) == 1 + 5 + 2 + 1


@pytest.mark.slow
def test_our_script_reaches_what_our_trainer_does(mnist_directory: Path) -> None:
    cell = Cell(0.001, 64, "Adam", 0)
    runs = [Scripts("our_script", 1, 1).run(task(mnist_directory, (cell,))) for _ in range(2)]
    [first], [second] = (run.trained for run in runs)
    assert first.validation_accuracy == second.validation_accuracy > 50


@pytest.mark.slow
def test_neighbours_take_their_share(mnist_directory: Path) -> None:
    cell = Cell(0.001, 64, "Adam", 0)
    shares = busy_machine.measure(
        {"ours": Scripts("our_script", 1, 1, pinned=True)}, task(mnist_directory, (cell,), 1_280), 4, 1
    )
    assert shares["ours"].beside.lowest > 0
    assert shares["ours"].beside_polite.lowest > 0


@pytest.mark.slow
def test_the_cost_of_a_trial_is_what_its_epoch_does_not_explain(
    mnist_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNIST_TUNE_DATA", str(mnist_directory))
    cost = trial_cost.measure(3, DataConfig(train_size=6_400, validation_size=1_000))
    assert cost.of_a_trial.lowest > 0
    assert 0 < cost.share.lowest <= cost.share.highest < 1


@pytest.mark.slow
def test_the_profile_names_the_operations_of_a_step(mnist_directory: Path) -> None:
    load_training_images(mnist_directory)
    text = profile(task(mnist_directory), CPU)
    assert text.count("ms a step, profiled") == 2
    assert "aten::convolution_backward" in text
