"""What it costs a job of one's own to be a job: milliseconds an epoch and a trial, beside its training.

    python -m tests.benchmarks.host_cost [--json] [--trials N] [--epochs E]

One worker on SQLite runs N trials of one epoch that does nothing, and one trial of E such epochs. The
function itself takes the times: how long it is held from the call of `trial.report` until the next epoch
begins, and from its end until it is called again. Its state, two numbers, is kept, and saved as often as by
default. A command is measured from outside: from the beginning of one trial to that of the next, with the
start of its Python. Beside each stands what it is made of: a line of JSON through a pipe, and a Python that
starts and ends.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import optuna

from mnist_tune.results.reading import read_results
from mnist_tune.results.study_results import Results
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.study.store import open_study
from tests.benchmarks.spread import Spread, spread

FUNCTION = """
import json, time
from pathlib import Path
import torch
from mnist_tune import Hyperparameters, Trial, job

LEFT: list[float] = []

@job(objective="error", direction="minimize")
def train(settings: Hyperparameters, trial: Trial) -> None:
    between = [time.perf_counter() - LEFT.pop()] if LEFT else []
    model = torch.nn.Linear(1, 1)
    trial.keep(model=model)
    held, before = [], None
    for epoch in trial.epochs():
        if before is not None:
            held.append(time.perf_counter() - before)
        before = time.perf_counter()
        trial.report(error=1.0)
    trial.save("times.json", json.dumps({"held": held, "between": between}))
    LEFT.append(time.perf_counter())
"""
COMMAND = """
import os, sys, time
with open(os.environ["MNIST_TUNE_REPORT"], "w", buffering=1) as report:
    for epoch in range(1, int(sys.argv[1]) + 1):
        print('{"epoch": %d, "error": 1.0}' % epoch, file=report)
"""
JOBS = {
    "function": 'file = "job.py:train"',
    "command": 'command = ["python", "job.py", "{epochs}", "{seed}"]',
}
OBJECTIVE = '\nobjective = "error"\ndirection = "minimize"'


@dataclass(frozen=True)
class HostCost:
    """Times in milliseconds."""

    of_an_epoch: Spread | None
    """How long an epoch of a function waits for its host; a command never waits."""
    of_a_trial: Spread
    floor: Spread
    """What a line through a pipe takes, or a Python that starts and ends."""


def measure(n_trials: int, epochs: int) -> dict[str, HostCost]:
    """Run the studies, one after the other, with one worker."""
    with tempfile.TemporaryDirectory() as name:
        [long] = _times(Path(name) / "long", 1, epochs)
        times = _times(Path(name) / "short", n_trials, 1)
        trials = _run(Path(name) / "command", "command", COMMAND, n_trials, 1)
    started = sorted(trial.started for trial in trials.complete if trial.started)
    each = [1000 * (after - before).total_seconds() for before, after in pairwise(started)]
    return {
        "function": HostCost(
            spread([1000 * one for one in long["held"]]),
            spread([1000 * one for trial in times for one in trial["between"]]),
            spread([1000 * _line_through_a_pipe() for _ in range(n_trials)]),
        ),
        "command": HostCost(None, spread(each), spread([1000 * _python() for _ in range(n_trials)])),
    }


def table(costs: dict[str, HostCost]) -> str:
    """A line for each kind of job."""
    lines = [f"{'milliseconds':<14}{'an epoch':>28}{'a trial':>28}{'floor':>28}"]
    for name, cost in costs.items():
        epoch = str(cost.of_an_epoch or "")
        lines.append(f"{name:<14}{epoch:>28}{cost.of_a_trial!s:>28}{cost.floor!s:>28}")
    return "\n".join(lines)


def _run(folder: Path, name: str, code: str, n_trials: int, epochs: int) -> Results:
    folder.mkdir()
    (folder / "job.py").write_text(code, encoding="utf-8")
    spec, url = folder / "spec.toml", f"sqlite:///{folder}/studies.db"
    more = OBJECTIVE if name == "command" else ""
    seeds = list(range(n_trials))
    spec.write_text(
        f'[study]\nname = "{name}"\n[job]\n{JOBS[name]}{more}\n[search.grid]\nseed = {seeds}\n'
        f"[training]\nepochs = {epochs}\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "mnist_tune", "run", str(spec), "--storage", url]
    line = [*command, "--workers", "1", "--device", "cpu"]
    subprocess.run(line, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return read_results(open_study(open_storage(storage_url(url)), name))


def _times(folder: Path, n_trials: int, epochs: int) -> list[dict[str, list[float]]]:
    """What the function has measured in each of its trials."""
    trials = _run(folder, "function", FUNCTION, n_trials, epochs).complete
    artifacts = folder / "studies.db.artifacts"
    return [json.loads((artifacts / trial.artifacts["times.json"]).read_text("utf-8")) for trial in trials]


def _line_through_a_pipe() -> float:
    reading, writing = os.pipe()
    began = time.perf_counter()
    os.write(writing, json.dumps(["EpochDone", {"epoch": 1, "error": 1.0, "seconds": 0.1}]).encode())
    json.loads(os.read(reading, 1000))
    taken = time.perf_counter() - began
    os.close(reading)
    os.close(writing)
    return taken


def _python() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - began


def main() -> None:
    """Measure; print a table or JSON."""
    parser = argparse.ArgumentParser(description="What a job pays for being hosted.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--trials", type=int, default=20, metavar="N", help="trials of each, at least 2")
    parser.add_argument("--epochs", type=int, default=200, metavar="E", help="epochs of the long trial")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    costs = measure(max(options.trials, 2), max(options.epochs, 2))
    as_json = {name: asdict(cost) for name, cost in costs.items()}
    print(json.dumps(as_json, indent=2) if options.json else table(costs))


if __name__ == "__main__":
    main()
