"""How soon many workers train, and how much memory of its own each has: by fork, and by exec as in 0.5.0.

    python -m tests.benchmarks.many_starts [--json] [--workers N] [--repeats R] [--before DIR]

The ways take turns. A turn measures the time from before the command is started to the end of the first epoch
(one step, validated and stored) of the last of N workers, and then their unique set size (USS), worker and
training process together. By fork it is `mnist-tune run`; by exec it is N times `mnist-tune worker`, each of
which starts its training process by exec. With --before, a folder that holds another version's `mnist_tune`,
it is also that version's `run`. A fresh training process is timed from its start to where it has loaded the
images. The losses of all ways are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest.mock import patch

from optuna.storages._rdb import models
from sqlalchemy import distinct, func, select

from mnist_tune.jobs.mnist import raw_files
from mnist_tune.results.reading import read_results
from mnist_tune.results.study_results import Results
from mnist_tune.storage.guarded import open_storage
from mnist_tune.storage.named import ENVIRONMENT_VARIABLE
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import open_study
from mnist_tune.worker.child import TrainingProcess
from mnist_tune.worker.messages import SetUp
from tests.benchmarks.databases import fresh_database
from tests.benchmarks.spread import Spread, spread
from tests.support.process_tree import descendants, kill_all, training_processes

STUDY = "many"
BY_EXEC = """
from mnist_tune.processes import fork_server
fork_server.start_method = lambda: "spawn"
from mnist_tune.__main__ import main
main()
"""
LOOK_SECONDS = 0.05
LIMIT = 300.0
FORK, EXEC, BEFORE = "fork", "exec", "before"
WORDS = {FORK: "by fork", EXEC: "by exec", BEFORE: "the version before"}


@dataclass(frozen=True)
class Turn:
    """The figures of one start of many workers, with the first epoch's losses by cell."""

    seconds: float
    own_megabytes: float
    losses: dict[int, float]


@dataclass(frozen=True)
class Figures:
    """The figures over all turns. `own_megabytes` is for a worker and its training process together."""

    seconds: dict[str, Spread]
    own_megabytes: dict[str, Spread]
    fresh_seconds: dict[str, Spread]
    times_as_long: dict[str, Spread]
    """The time of each other way over that by fork, turn by turn."""
    same_losses: bool


def measure(workers: int, repeats: int, data: Path, before: Path | None = None) -> Figures:
    """Measure so many turns of each way, with MNIST in the folder `data`."""
    ways = [FORK, EXEC] if before is None else [FORK, EXEC, BEFORE]
    turns: dict[str, list[Turn]] = {way: [] for way in ways}
    fresh: dict[str, list[float]] = {FORK: [], EXEC: []}
    for _ in range(repeats):
        for way in ways:
            turns[way].append(turn(way, workers, data, before))
        for way, seconds in fresh.items():
            seconds.append(fresh_training_process(way, data))
    by_fork = turns[FORK]
    return Figures(
        {way: spread([one.seconds for one in some]) for way, some in turns.items()},
        {way: spread([one.own_megabytes for one in some]) for way, some in turns.items()},
        {way: spread(seconds) for way, seconds in fresh.items()},
        {
            way: spread([one.seconds / fork.seconds for one, fork in zip(turns[way], by_fork, strict=True)])
            for way in ways[1:]
        },
        all(one.losses == fork.losses for way in ways for one, fork in zip(turns[way], by_fork, strict=True)),
    )


def turn(way: str, workers: int, data: Path, before: Path | None = None) -> Turn:
    """Start so many workers, each for a cell of its own, and wait until all have trained."""
    document = {
        "study": {"name": STUDY},
        "search": {"grid": {"seed": list(range(workers))}},
        "training": {"epochs": 300, "batch_size": 64, "precision": "fp32"},
        "data": {"train_size": 64, "validation_size": 10},
    }
    with fresh_database() as (url, folder):
        (folder / "spec.json").write_text(json.dumps(document), encoding="utf-8")
        environment = os.environ | {
            ENVIRONMENT_VARIABLE: url.render_as_string(),
            raw_files.ENVIRONMENT_VARIABLE: str(data),
        }
        if way == BEFORE:
            environment["PYTHONPATH"] = str(before)
        create = [sys.executable, "-P", "-m", "mnist_tune", "create-study", str(folder / "spec.json")]
        subprocess.run(create, env=environment, cwd=folder, stdout=subprocess.DEVNULL, check=True)
        study = open_study(open_storage(url), STUDY)
        began = time.perf_counter()
        with _started(_commands(way, workers, folder), environment, folder) as processes:
            _wait_until_all_train(study, workers, processes)
            seconds = time.perf_counter() - began
            results = read_results(study)
            own = sum(map(_own_bytes, _workers_and_training(results)))
        study.storage.engine.dispose()
    losses = {attempt.cell: attempt.history[0]["training_loss"] or 0.0 for attempt in results.attempts}
    return Turn(seconds, own / workers / 1e6, losses)


def fresh_training_process(way: str, data: Path) -> float:
    """Seconds from the start of a training process that replaces a killed one until it is ready."""
    method = {FORK: "forkserver", EXEC: "spawn"}[way]
    with (
        patch("mnist_tune.processes.fork_server.start_method", lambda: method),
        tempfile.TemporaryDirectory() as states,
        TrainingProcess(
            SetUp("cpu", None, data, {"train_size": 128, "validation_size": 10}, Path(states))
        ) as process,
    ):
        process.start()
        process.wait_until_ready(lambda: None)
        process.kill()
        began = time.perf_counter()
        process.start()
        process.wait_until_ready(lambda: None)
        return time.perf_counter() - began


def _commands(way: str, workers: int, folder: Path) -> list[list[str]]:
    if way != EXEC:
        run = ["-P", "-m", "mnist_tune", "run", str(folder / "spec.json"), "--workers", str(workers)]
        return [[sys.executable, *run, "--device", "cpu"]]
    return [[sys.executable, "-P", "-c", BY_EXEC, "worker", STUDY, "--device", "cpu"]] * workers


@contextmanager
def _started(
    commands: Sequence[Sequence[str]], environment: dict[str, str], folder: Path
) -> Iterator[list[subprocess.Popen[bytes]]]:
    processes = [
        subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.DEVNULL)
        for command in commands
    ]
    try:
        yield processes
    finally:
        kill_all([pid for one in processes for pid in (*descendants(one.pid), one.pid)])
        for process in processes:
            process.wait()


def _wait_until_all_train(
    study: OpenStudy, workers: int, processes: Sequence[subprocess.Popen[bytes]]
) -> None:
    # A query takes time on a core that the workers need.
    trained = select(func.count(distinct(models.TrialIntermediateValueModel.trial_id)))
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        assert all(process.poll() is None for process in processes), "a command has ended"
        with study.storage.engine.connect() as connection:
            if connection.scalar(trained) == workers:
                return
        time.sleep(LOOK_SECONDS)
    raise AssertionError(f"not all of {workers} workers have trained within {LIMIT:g} s")


def _workers_and_training(results: Results) -> list[int]:
    workers = [worker.pid for worker in results.workers]
    # In 0.5.0 a worker's training process is its own child.
    training = [pid for worker in workers for pid in training_processes(worker) or descendants(worker)]
    return [*workers, *training]


def _own_bytes(pid: int) -> int:
    """The unique set size: the memory that would become free if this process alone ended."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    private = [line.split() for line in lines if line.startswith(("Private_Clean", "Private_Dirty"))]
    return sum(int(kilobytes) * 1024 for _, kilobytes, _ in private)


def table(figures: Figures, workers: int) -> str:
    """A line for each figure."""
    ways = list(figures.seconds)
    title = f"{workers} workers"
    lines = [f"{title:<38}" + "".join(f"{WORDS[way]:>26}" for way in ways)]
    rows = {
        "seconds until all train": figures.seconds,
        "MB of its own, worker and training": figures.own_megabytes,
        "seconds of a fresh training process": figures.fresh_seconds,
        "times as long as by fork": figures.times_as_long,
    }
    lines += [
        f"{name:<38}" + "".join(f"{figure.get(way, '')!s:>26}" for way in ways)
        for name, figure in rows.items()
    ]
    lines.append(f"losses are {'the same to the bit' if figures.same_losses else 'NOT THE SAME'}")
    return "\n".join(lines)


def main() -> None:
    """Measure; print a table or JSON."""
    parser = argparse.ArgumentParser(description="How soon many workers train, by fork and by exec.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--workers", type=int, default=8, metavar="N")
    parser.add_argument("--repeats", type=int, default=3, metavar="R", help="turns")
    parser.add_argument("--before", type=Path, metavar="DIR", help="holds another version's mnist_tune")
    options = parser.parse_args()
    before = options.before and options.before.absolute()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        raw_files.provide(data)
        turn(FORK, options.workers, data)  # puts files into the cache
        figures = measure(options.workers, options.repeats, data, before)
    print(json.dumps(asdict(figures), indent=2) if options.json else table(figures, options.workers))


if __name__ == "__main__":
    main()
