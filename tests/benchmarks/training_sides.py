"""The sides of the training benchmark: scripts side by side, our workers, and the machine's limit."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from tests.benchmarks.job_task import Cell, Task, Trained, trained_of
from tests.benchmarks.memory import watched

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Run:
    """One turn of one side.

    `first_epoch` is the seconds from its start to the end of its first epoch; `memory` the peak in bytes of a
    worker with its descendants, or of a script.
    """

    trained: list[Trained]
    processes: int
    first_epoch: float
    memory: int

    def images_per_second(self, train_size: int, epochs: int) -> float:
        """The rate of all cells together, from the first beginning to the last end."""
        seconds = max(one.ended for one in self.trained) - min(one.began for one in self.trained)
        return len(self.trained) * train_size * epochs / seconds

    def images_per_second_of(self, batch_size: int, train_size: int, epochs: int) -> float:
        """The rate while all processes train with that batch size."""
        seconds = [one.ended - one.began for one in self.trained if one.cell.batch_size == batch_size]
        return self.processes * len(seconds) * train_size * epochs / sum(seconds)


class Side(Protocol):
    """One way to train the cells."""

    def run(self, task: Task) -> Run: ...


@dataclass(frozen=True)
class Scripts:
    """So many processes of a script, each with its share of the cells.

    `threads`: None for torch's default. `pinned`: whether each process keeps to one core of its own.
    """

    script: str
    processes: int
    threads: int | None = None
    pinned: bool = False

    def run(self, task: Task) -> Run:
        shares = [task.cells[index :: self.processes] for index in range(self.processes)]
        arguments = [[replace(task, cells=cells).argument()] for cells in shares if cells]
        launched = time.monotonic()
        outputs, memory = together(self.script, arguments, self.threads, self.pinned)
        trained = [trained_of(line) for output in outputs for line in output]
        first_epoch = min(one.first_epoch for one in trained) - launched
        return Run(trained, self.processes, first_epoch, memory)


@dataclass(frozen=True)
class Ours:
    """`mnist-tune run`, as users type it: workers that take the cells from a study."""

    workers: int

    def run(self, task: Task) -> Run:
        with tempfile.TemporaryDirectory() as name:
            return self._run(task, Path(name))

    def _run(self, task: Task, folder: Path) -> Run:
        import tomli_w  # here: the machine of the other sides may lack it

        spec, url = folder / "speed.toml", f"sqlite:///{folder}/studies.db"
        spec.write_text(tomli_w.dumps(_spec(task)), encoding="utf-8")
        options = ["--storage", url, "--workers", str(self.workers), "--device", task.device]
        command = [
            sys.executable,
            "-m",
            "mnist_tune",
            "run",
            str(spec),
            *options,
            "--data-dir",
            str(task.data),
        ]
        launched = time.monotonic()
        first_epoch = None
        with (
            subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process,
            watched(process.pid) as peaks,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                if first_epoch is None and re.search(r"\btrial \d+ epoch 1/", line):
                    first_epoch = time.monotonic() - launched
        if process.returncode or first_epoch is None:
            raise RuntimeError(f"mnist-tune run exited with {process.returncode}")
        memory = peaks.of_a_worker_and_its_training(process.pid)
        return Run(_stored(url), self.workers, first_epoch, memory)


@dataclass(frozen=True)
class Limit:
    """So many processes that only multiply matrices, each with one thread."""

    processes: int

    def figures(self, device: str, precision: str) -> dict[str, float]:
        """flops and, on a GPU, bytes and launches: per second, over all processes."""
        outputs, _ = together("machine_limit", [[device, precision]] * self.processes, 1)
        each = [json.loads(line) for output in outputs for line in output]
        return {name: sum(one[name] for one in each) for name in each[0]}


def together(
    script: str, arguments: Sequence[Sequence[str]], threads: int | None, pinned: bool = False
) -> tuple[list[list[str]], int]:
    """Start a script once for each list of arguments, let all load, and run them at the same time.

    Returns the output lines of each, and the peak memory of the largest.
    """
    environment = os.environ | ({} if threads is None else {"OMP_NUM_THREADS": str(threads)})
    memory = 0
    with ExitStack() as stack:
        processes = []
        cores = itertools.cycle(sorted(os.sched_getaffinity(0)))
        for argument in arguments:
            command = [sys.executable, "-m", f"tests.benchmarks.{script}", *argument]
            pipe = subprocess.PIPE
            process = stack.enter_context(
                subprocess.Popen(command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True)
            )
            if pinned:
                os.sched_setaffinity(process.pid, {next(cores)})
            processes.append((process, stack.enter_context(watched(process.pid))))
        for process, _ in processes:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise RuntimeError(f"{script} did not start")
        for process, _ in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        outputs = []
        for process, peaks in processes:
            assert process.stdout is not None
            outputs.append(process.stdout.read().splitlines())
            if process.wait():
                raise RuntimeError(f"{script} exited with {process.returncode}")
            memory = max([memory, *peaks.by_process.values()])
    return outputs, memory


def _spec(task: Task) -> dict[str, object]:
    """A study of the task's cells, which must form a grid."""
    grid: dict[str, list[object]] = {}
    for cell in task.cells:
        for name in ("learning_rate", "batch_size", "optimizer"):
            values = grid.setdefault(name, [])
            if (value := getattr(cell, name)) not in values:
                values.append(value)
    [seed] = {cell.seed for cell in task.cells}
    training = {"epochs": task.epochs, "seed": seed, "precision": task.precision}
    data = {"train_size": task.train_size, "validation_size": task.validation_size}
    return {"study": {"name": "speed"}, "search": {"grid": grid}, "training": training, "data": data}


def _stored(url: str) -> list[Trained]:
    """The cells of a finished study, with times of the storage's clock."""
    import optuna  # imported here for the same reason

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.load_study(study_name="speed", storage=url)
    trained = []
    for trial in study.get_trials(states=[optuna.trial.TrialState.COMPLETE]):
        assert trial.datetime_start is not None
        assert trial.datetime_complete is not None
        assert trial.value is not None
        began, ended = trial.datetime_start.timestamp(), trial.datetime_complete.timestamp()
        cell = Cell(**trial.params, seed=0)
        trained.append(Trained(cell, began, 0.0, ended, trial.value))
    return trained
