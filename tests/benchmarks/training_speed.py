"""How fast the job trains: our workers, scripts as people write them, and the machine's limit.

    python -m tests.benchmarks.training_speed [--json] [--device D] [--precision P] [--train-size N]
        [--epochs E] [--repeats R] [--workers W] [--sides SIDE ...] [--profile]

The eight cells of the reference grid are trained on a part of the training images, with a fifth as many for
validation. The sides take turns, so that other work of the machine affects all of them; a figure is the
median over the repeats, with the lowest and the highest, and a ratio is taken turn by turn.

- plain: a DataLoader with torchvision's transform for each image, fp32, torch's default number of threads,
  one configuration after another;
- plain-each-core: the plain script as one process with one thread for each core, and a share of the cells;
- crafted: resident tensors, channels_last, bf16 autocast, fused optimizer, one process a core;
- ours: `mnist-tune run` with one worker a core: with queue, heartbeats, reports, checkpoints, artifacts;
- ours-alone: our training without the queue, a process a core with its share of the cells;
- limit: the rate of matrix products that all cores (or the GPU) reach in our precision, over the operations
  of an image: 32.6 MFLOP forward, twice that backward.

images/s are training images over wall-clock with validation, for every side: for all cells from the first
beginning to the last end, for a batch size while all processes train with it. The start-up is not part of it,
and has a column of its own. The seed is the number of the repeat on all sides, so that each of our
accuracies has a partner that began with the same weights.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mnist_tune.hardware.cores import usable_cores
from mnist_tune.hardware.devices import resolve_runtime
from mnist_tune.jobs.mnist.dataset import prepare
from tests.benchmarks.job_task import Cell, Task
from tests.benchmarks.spread import Spread, spread
from tests.benchmarks.training_sides import Limit, Ours, Run, Scripts, Side

FLOPS_PER_IMAGE = 3 * 2 * (28 * 28 * 32 * 9 + 28 * 28 * 64 * 32 * 9 + 64 * 14 * 14 * 128 + 128 * 10)
BATCH_SIZES = (64, 128)


@dataclass(frozen=True)
class Figures:
    """One side over the repeats. Rates are in images/s, memory is in MB (10^6 bytes)."""

    images_per_second: Spread
    batch_64: Spread
    batch_128: Spread
    times_as_fast: Spread
    """The rate of our side over that of this side, turn by turn."""
    seconds_to_first_epoch: Spread
    peak_memory: Spread


@dataclass(frozen=True)
class Limits:
    """The limits of the machine, and our share of them."""

    images_per_second: Spread
    share: Spread
    of: dict[str, Spread]
    """flops and, on a GPU, bytes and launches, per second."""


@dataclass(frozen=True)
class Agreement:
    """Our validation accuracy minus the plain script's, in points, over pairs of the same cell and seed."""

    pairs: int
    mean: float
    margin: float
    """Two standard errors."""

    @property
    def within_noise(self) -> bool:
        return abs(self.mean) <= self.margin


@dataclass(frozen=True)
class Measurement:
    """All figures of the benchmark."""

    sides: dict[str, Figures]
    limit: Limits | None
    adam: Agreement | None


def sides(workers: int) -> dict[str, Side]:
    """All sides; ours need Optuna."""
    every: dict[str, Side] = {
        "plain": Scripts("plain_script", 1),
        "plain-each-core": Scripts("plain_script", workers, threads=1),
        "crafted": Scripts("crafted_script", workers, threads=1),
        "ours": Ours(workers),
        "ours-alone": Scripts("our_script", workers, threads=1),
    }
    if importlib.util.find_spec("optuna") is None:
        del every["ours"]
    return every


def cells(seed: int) -> tuple[Cell, ...]:
    """The reference grid; every other cell has the same share of batch sizes as all have."""
    return tuple(
        Cell(learning_rate, batch_size, optimizer, seed)
        for batch_size in BATCH_SIZES
        for optimizer in ("Adam", "SGD")
        for learning_rate in (0.001, 0.0001)
    )


def measure(
    sides: Mapping[str, Side],
    task: Task,
    repeats: int,
    limit: Limit | None,
    log: Callable[[str], None] = lambda _: None,
) -> Measurement:
    """Measure the sides in turns. `task` has no cells yet."""
    runs: dict[str, list[Run]] = {name: [] for name in sides}
    limits: list[dict[str, float]] = []
    for seed in range(repeats):
        if limit is not None:
            limits.append(limit.figures(task.device, task.precision))
            log(f"limit: {limits[-1]['flops'] / FLOPS_PER_IMAGE:,.0f} images/s")
        for name, side in sides.items():
            one = Task(**{**vars(task), "cells": cells(seed)})
            runs[name].append(side.run(one))
            log(f"{name}: {runs[name][-1].images_per_second(task.train_size, task.epochs):,.0f} images/s")
    ours = "ours" if "ours" in runs else "ours-alone"
    rates = {
        name: [run.images_per_second(task.train_size, task.epochs) for run in turns]
        for name, turns in runs.items()
    }
    reference = rates.get(ours)
    return Measurement(
        {name: _figures(turns, rates[name], reference, task) for name, turns in runs.items()},
        _limits(limits, reference) if reference and limits else None,
        _agreement(runs["plain"], runs[ours]) if "plain" in runs and ours in runs else None,
    )


def _figures(
    runs: Sequence[Run], rates: Sequence[float], ours: Sequence[float] | None, task: Task
) -> Figures:
    def of(batch_size: int) -> Spread:
        size = task.train_size, task.epochs
        return spread([run.images_per_second_of(batch_size, *size) for run in runs])

    return Figures(
        spread(rates),
        of(64),
        of(128),
        spread([mine / theirs for mine, theirs in zip(ours or rates, rates, strict=True)]),
        spread([run.first_epoch for run in runs]),
        spread([run.memory / 1e6 for run in runs]),
    )


def _limits(limits: Sequence[Mapping[str, float]], ours: Sequence[float]) -> Limits:
    images = [one["flops"] / FLOPS_PER_IMAGE for one in limits]
    share = [mine / most for mine, most in zip(ours, images, strict=True)]
    return Limits(
        spread(images), spread(share), {name: spread([one[name] for one in limits]) for name in limits[0]}
    )


def _agreement(plain: Sequence[Run], ours: Sequence[Run]) -> Agreement:
    differences = []
    for their_run, our_run in zip(plain, ours, strict=True):
        theirs, mine = (
            {
                (one.cell.learning_rate, one.cell.batch_size): one.validation_accuracy
                for one in run.trained
                if one.cell.optimizer == "Adam"  # after a few steps of SGD accuracies are chance
            }
            for run in (their_run, our_run)
        )
        differences += [mine[key] - theirs[key] for key in theirs]
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    return Agreement(len(differences), statistics.mean(differences), 2 * error)


def table(measurement: Measurement) -> str:
    """A line for each side, then the limit, then the accuracies."""
    columns = ("images/s", "batch 64", "batch 128", "ours, times", "first epoch, s", "memory, MB")
    lines = [f"{'':<16}" + "".join(f"{column:>26}" for column in columns)]
    lines += [
        f"{name:<16}" + "".join(f"{figure!s:>26}" for figure in vars(figures).values())
        for name, figures in measurement.sides.items()
    ]
    if limit := measurement.limit:
        lines.append(f"{'limit':<16}{limit.images_per_second!s:>26}    ours reach {limit.share} of it")
        lines += [f"{'':<16}{name}: {figure.median:.3g} per second" for name, figure in limit.of.items()]
    if adam := measurement.adam:
        verdict = "within the noise" if adam.within_noise else "MORE THAN THE NOISE"
        lines.append(
            f"validation accuracy, ours minus plain, Adam, {adam.pairs} pairs: "
            f"{adam.mean:+.3f} points, two standard errors {adam.margin:.3f}: {verdict}"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure; print a table or JSON."""
    parser = argparse.ArgumentParser(description="The speed of the job beside what one would write.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda:0, ...")
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"), help="of ours")
    parser.add_argument("--train-size", type=int, default=10_000, metavar="N", help="training images")
    parser.add_argument("--epochs", type=int, default=1, metavar="E", help="of each cell")
    parser.add_argument("--repeats", type=int, default=3, metavar="R", help="turns of each side")
    parser.add_argument("--workers", type=int, metavar="W", help="processes (default: cores, or 1 on a GPU)")
    parser.add_argument("--sides", nargs="+", metavar="SIDE", help=f"of {', '.join(sides(1))}")
    parser.add_argument("--profile", action="store_true", help="where a step's time goes, instead")
    options = parser.parse_args()
    runtime = resolve_runtime(options.device, options.precision)
    workers = options.workers or (usable_cores() if runtime.is_cpu else 1)
    with tempfile.TemporaryDirectory() as folder:
        data = prepare(Path(os.environ.get("MNIST_TUNE_DATA", folder)))
        sizes = options.epochs, options.train_size, options.train_size // 5
        task = Task((), *sizes, runtime.device, runtime.precision, data)
        if options.profile:
            from tests.benchmarks.step_profile import profile

            print(profile(task, runtime))
            return
        chosen = {name: sides(workers)[name] for name in options.sides or sides(workers)}
        limit = Limit(workers if runtime.is_cpu else 1)
        measurement = measure(chosen, task, options.repeats, limit, lambda line: print(line, file=sys.stderr))
    machine = {"device": runtime.device_name, "precision": runtime.precision, "workers": workers}
    if options.json:
        print(json.dumps(machine | asdict(measurement), indent=2))
    else:
        print(", ".join(f"{name} {value}" for name, value in machine.items()))
        print(table(measurement))


if __name__ == "__main__":
    main()
