"""What a trial costs a worker besides training: claim, set-up, reports, checkpoint, weights, log, tell.

    python -m tests.benchmarks.trial_cost [--json] [--trials N]

One CPU worker runs N trials of one epoch on a handful of images, each with a checkpoint, and one trial of one
epoch on all of the default training set. The cost of a trial is the time from its claim to the next claim,
without the epoch, by the storage's clock; the share is that of the cost in the trial on the whole set.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import optuna
import tomli_w

from mnist_tune.jobs.mnist.hyperparameters import DataConfig
from mnist_tune.results.reading import read_results
from mnist_tune.results.trial_result import TrialResult
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.study.store import open_study
from tests.benchmarks.spread import Spread, spread

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Cost:
    """Times in seconds; `share` is that of the cost in the trial on the whole set, from 0 to 1."""

    of_a_trial: Spread
    whole_epoch: float
    share: Spread


def measure(n_trials: int, whole: DataConfig) -> Cost:
    """Run both studies, one after the other, with one worker."""
    small = DataConfig(train_size=10, validation_size=10)
    with tempfile.TemporaryDirectory() as name:
        trials = run(Path(name), "small", small, n_trials)
        [one] = run(Path(name), "whole", whole, 1)
    costs = [
        (after.started - before.started).total_seconds() - _epoch_seconds(before)
        for before, after in pairwise(trials)
        if after.started and before.started
    ]
    epoch = _epoch_seconds(one)
    return Cost(spread(costs), epoch, spread([cost / (cost + epoch) for cost in costs]))


def run(folder: Path, name: str, data: DataConfig, n_trials: int) -> list[TrialResult]:
    """The trials of a study that one worker has run, in their order."""
    spec, url = folder / f"{name}.toml", f"sqlite:///{folder}/studies.db"
    content: dict[str, Any] = {
        "study": {"name": name},
        "search": {"grid": {"seed": list(range(n_trials))}},
        "training": {"epochs": 1},
        "data": data.model_dump(),
        "limits": {"checkpoint_interval": 0.0},
    }
    spec.write_text(tomli_w.dumps(content), encoding="utf-8")
    command = [sys.executable, "-m", "mnist_tune", "run", str(spec), "--storage", url]
    subprocess.run(
        [*command, "--workers", "1", "--device", "cpu"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
    )
    results = read_results(open_study(open_storage(storage_url(url)), name))
    return sorted(results.attempts, key=lambda trial: str(trial.started))


def _epoch_seconds(trial: TrialResult) -> float:
    [epoch] = trial.history
    assert epoch.seconds is not None
    return epoch.seconds


def main() -> None:
    """Measure; print a line or JSON."""
    parser = argparse.ArgumentParser(description="What a trial costs beside its training.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--trials", type=int, default=20, metavar="N", help="small trials, at least 2")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    cost = measure(max(options.trials, 2), DataConfig())
    if options.json:
        print(json.dumps(asdict(cost), indent=2))
    else:
        percent = [f"{100 * part:.2f}" for part in (cost.share.median, cost.share.lowest, cost.share.highest)]
        print(
            f"a trial costs {cost.of_a_trial} s beside its training: {percent[0]} % ({percent[1]} to "
            f"{percent[2]}) of one epoch on the whole set, {cost.whole_epoch:.1f} s"
        )


if __name__ == "__main__":
    main()
