"""How long a command takes until it is useful, compared with the least that it needs.

    python -m tests.benchmarks.start_up [--json] [--repeats R] [--profile]

A turn is every start once, each in a process of its own. A time is in milliseconds, from before the start to
the process's end or, for a worker, to its line about the milestone. The study, in a fresh SQLite file, is one
cell of one epoch of one step. MNIST is unpacked, and one turn does not count, before the first that counts. A
figure is the median over the turns, with the lowest and the highest. It is compared with its floor: an
interpreter that does nothing, or that imports the one package that the command needs.

- worker, ready: the study is open, and the training process has loaded torch and the images;
- worker, first step: the trial is claimed, its first epoch trained, validated and reported;
- worker, nothing to do: the worker has left a study that is finished.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from mnist_tune.jobs.mnist import raw_files
from mnist_tune.spec.documents import validate
from mnist_tune.storage.guarded import open_storage
from mnist_tune.storage.named import ENVIRONMENT_VARIABLE
from mnist_tune.study.store import create_study
from tests.benchmarks.databases import fresh_database
from tests.benchmarks.spread import Spread, spread
from tests.support.specs import MnistSpec

STUDY = "one-step"
DOCUMENT = {
    "study": {"name": STUDY},
    "search": {"grid": {"seed": [0]}},
    "training": {"epochs": 1, "batch_size": 64, "precision": "fp32"},
    "data": {"train_size": 64, "validation_size": 10},
}
COMMAND = ("-m", "mnist_tune")
WORKER = (*COMMAND, "worker", STUDY)

INTERPRETER, OPTUNA, TORCH = "python", "import optuna", "import torch"
READY, FIRST_STEP, NOTHING_TO_DO = "worker, ready", "worker, first step", "worker, nothing to do"
MILESTONES = {READY: f" on study '{STUDY}'", FIRST_STEP: ": epoch 1/1: "}
"""The text in the line with which a worker says that it has come so far."""
STARTS = {
    INTERPRETER: ("-c", "pass"),
    OPTUNA: ("-c", OPTUNA),
    TORCH: ("-c", TORCH),
    "--help": (*COMMAND, "--help"),
    "status": (*COMMAND, "status", STUDY),
    FIRST_STEP: WORKER,
    NOTHING_TO_DO: WORKER,
}
"""Arguments of Python, in the order of a turn: the first worker leaves nothing to do for the second."""
FLOORS = {
    "--help": INTERPRETER,
    "status": OPTUNA,
    READY: TORCH,
    FIRST_STEP: TORCH,
    NOTHING_TO_DO: OPTUNA,
}
PROFILED = {
    "--help": STARTS["--help"],
    "status": STARTS["status"],
    "worker": WORKER,
    "its training process": ("-c", "import mnist_tune.worker.child_main"),
}
PROFILED_IMPORTS = 15
IMPORT = re.compile(r"import time: +-?\d+ \| +(?P<microseconds>-?\d+) \| *(?P<module>\S+)")
"""A line of `-X importtime`: its own time is negative where two threads import at once, as a worker's do."""


@dataclass(frozen=True)
class Start:
    """One kind of start, over all turns."""

    milliseconds: Spread
    floor: str | None = None
    times_the_floor: Spread | None = None


@dataclass(frozen=True)
class Import:
    """A module, and how long its import took, including all that it imported."""

    module: str
    milliseconds: float


def measure(repeats: int, data: Path) -> dict[str, Start]:
    """Measure so many turns, with MNIST in the folder `data`."""
    turns = [turn(data) for _ in range(repeats)]
    starts = {}
    for name in turns[0]:
        floor = FLOORS.get(name)
        ratios = spread([one[name] / one[floor] for one in turns]) if floor else None
        starts[name] = Start(spread([one[name] for one in turns]), floor, ratios)
    return starts


def turn(data: Path) -> dict[str, float]:
    """The milliseconds of every start, each done once."""
    milliseconds: dict[str, float] = {}
    with fresh_database() as (url, _):
        create_study(open_storage(url, create=True), validate(MnistSpec, DOCUMENT, "start_up"))
        environment = _environment(url.render_as_string(), data)
        for name, arguments in STARTS.items():
            milliseconds |= _start(name, arguments, environment)
    return milliseconds


def profile(data: Path) -> dict[str, list[Import]]:
    """All imports of each command's own process, the slowest first."""
    with fresh_database() as (url, _):
        create_study(open_storage(url, create=True), validate(MnistSpec, DOCUMENT, "start_up"))
        environment = _environment(url.render_as_string(), data)
        return {name: _imports(arguments, environment) for name, arguments in PROFILED.items()}


def table(starts: Mapping[str, Start]) -> str:
    """A line for each start."""
    lines = [f"{'milliseconds to':<24}{'':>28}{'times its floor':>28}"]
    for name, start in starts.items():
        ratio = f"{start.times_the_floor!s:>28}  {start.floor}" if start.floor else ""
        lines.append(f"{name:<24}{start.milliseconds!s:>28}{ratio}")
    return "\n".join(lines)


def profile_table(profiles: Mapping[str, Sequence[Import]]) -> str:
    """A block for each command, with a line for each of its slowest imports."""
    lines = []
    for name, imports in profiles.items():
        lines += ["", f"{name}: {len(imports)} imports"]
        lines += [f"{one.milliseconds:>8.0f} ms  {one.module}" for one in imports[:PROFILED_IMPORTS]]
    return "\n".join(lines[1:])


def _environment(url: str, data: Path) -> dict[str, str]:
    return os.environ | {ENVIRONMENT_VARIABLE: url, raw_files.ENVIRONMENT_VARIABLE: str(data)}


def _start(name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> dict[str, float]:
    milestones = MILESTONES if name in MILESTONES else {}
    began = time.perf_counter()
    seconds: dict[str, float] = {}
    with subprocess.Popen(
        [sys.executable, *arguments], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            now = time.perf_counter() - began
            seconds |= {reached: now for reached, said in milestones.items() if said in line}
    assert process.returncode == 0, f"{name} exited with {process.returncode}"
    seconds = seconds or {name: time.perf_counter() - began}
    return {reached: 1000 * taken for reached, taken in seconds.items()}


def _imports(arguments: Sequence[str], environment: Mapping[str, str]) -> list[Import]:
    command = [sys.executable, "-X", "importtime", *arguments]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stderr
    imports = [Import(one["module"], int(one["microseconds"]) / 1000) for one in IMPORT.finditer(told)]
    return sorted(imports, key=lambda one: -one.milliseconds)


def main() -> None:
    """Measure or profile; print a table or JSON."""
    parser = argparse.ArgumentParser(description="How long the commands take to start.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--repeats", type=int, default=5, metavar="R", help="turns")
    parser.add_argument("--profile", action="store_true", help="the slowest imports instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        raw_files.provide(data)
        if options.profile:
            profiles = profile(data)
            slowest = {name: imports[:PROFILED_IMPORTS] for name, imports in profiles.items()}
            content = {name: [asdict(one) for one in imports] for name, imports in slowest.items()}
            print(json.dumps(content, indent=2) if options.json else profile_table(profiles))
            return
        turn(data)  # puts files into the cache, and writes bytecode
        starts = measure(options.repeats, data)
    if options.json:
        versions = {name: metadata.version(name) for name in ("torch", "optuna", "sqlalchemy")}
        machine = {"cores": os.cpu_count(), "python": sys.version.split()[0]} | versions
        print(json.dumps(machine | {"starts": {n: asdict(one) for n, one in starts.items()}}, indent=2))
    else:
        print(table(starts))


if __name__ == "__main__":
    main()
