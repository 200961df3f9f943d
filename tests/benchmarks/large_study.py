"""A study of thousands of cells: how long it takes to make and to look at, and in how much memory.

    python -m tests.benchmarks.large_study [--json] [--configurations N] [--seeds S] [--repeats R]
        [--before DIR]

A turn makes N configurations of S seeds each in a fresh SQLite file with `create-study`, looks at them with
`status`, completes all of them at once, with ten epochs each, and looks again. Each command is a process of
its own; its imports count. The configurations are values of one axis, the worst there is: Optuna stores an
axis with each trial. With --before, a folder that holds another version's `mnist_tune`, each turn is made by
both, one after the other. A figure is the median over the turns, with the lowest and the highest.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from optuna.trial import TrialState
from sqlalchemy import literal, select

from mnist_tune.queue.trial_rows import insert_attributes
from mnist_tune.spec.documents import dump
from mnist_tune.storage.engine import storage_url, utc_now
from mnist_tune.storage.guarded import open_storage
from mnist_tune.storage.keys import CLAIM, ENVIRONMENT, HISTORY, RESULT
from mnist_tune.storage.named import ENVIRONMENT_VARIABLE
from mnist_tune.storage.optuna_internals import objective_values, system_attributes, trials, user_attributes
from mnist_tune.storage.tables import epochs
from tests.benchmarks.spread import Spread, spread
from tests.support.made_studies.cells import RUN_ON
from tests.support.made_studies.epochs import made_epochs

NAME = "large"
EPOCHS = 10
FIGURES = {
    "create": "create-study, s",
    "create_memory": "create-study, MB",
    "file": "file, MB",
    "waiting": "status, none begun, s",
    "waiting_memory": "status, none begun, MB",
    "complete": "status, all complete, s",
    "complete_memory": "status, all complete, MB",
}

Measured = dict[str, float]


def measure(
    configurations: int, seeds: int, repeats: int, before: Path | None = None
) -> dict[str, dict[str, Spread]]:
    """The figures of this version and, if a folder is given, of the version in it."""
    sides = {"now": None} if before is None else {"before": before, "now": None}
    turns: dict[str, list[Measured]] = {side: [] for side in sides}
    for _ in range(repeats):
        for side, source in sides.items():
            with tempfile.TemporaryDirectory() as folder:
                turns[side].append(_turn(Path(folder), source, configurations, seeds))
    return {
        side: {key: spread([turn[key] for turn in measured]) for key in FIGURES}
        for side, measured in turns.items()
    }


def _turn(folder: Path, source: Path | None, configurations: int, seeds: int) -> Measured:
    rates = [round(1e-5 * (index + 1), 5) for index in range(configurations)]
    grid = {"learning_rate": rates, "seed": list(range(seeds))}
    spec = folder / "large.toml"
    spec.write_text(dump({"study": {"name": NAME}, "search": {"grid": grid}}, "toml"), encoding="utf-8")
    create, create_memory = _command(folder, source, "create-study", str(spec))
    size = sum(path.stat().st_size for path in folder.glob("studies.db*")) / 1e6
    waiting, waiting_memory = _command(folder, source, "status", NAME)
    complete_at_once(f"sqlite:///{folder}/studies.db")
    complete, complete_memory = _command(folder, source, "status", NAME)
    return {
        "create": create,
        "create_memory": create_memory,
        "file": size,
        "waiting": waiting,
        "waiting_memory": waiting_memory,
        "complete": complete,
        "complete_memory": complete_memory,
    }


def _command(folder: Path, source: Path | None, *arguments: str) -> tuple[float, float]:
    """Seconds until the command's end, and its peak of resident memory in megabytes."""
    environment = os.environ | {ENVIRONMENT_VARIABLE: f"sqlite:///{folder}/studies.db"}
    environment |= {} if source is None else {"PYTHONPATH": str(source)}
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "mnist_tune", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{arguments} ended with {process.returncode}")
    return time.monotonic() - began, used.ru_maxrss / 1024


def complete_at_once(url: str) -> None:
    """Complete every cell of the only study, with everything that a worker stores for each."""
    storage = open_storage(storage_url(url))
    went = made_epochs([80.0 + index for index in range(EPOCHS)])
    kind = literal("FINITE", objective_values.c.value_type.type)
    values = select(trials.c.trial_id, literal(0), literal(went[EPOCHS]["validation_accuracy"]), kind)
    with storage.transaction() as session:
        ended = {"datetime_start": utc_now(), "datetime_complete": utc_now()}
        session.execute(trials.update().values(state=TrialState.COMPLETE, **ended))
        names = ["trial_id", "objective", "value", "value_type"]
        session.execute(objective_values.insert().from_select(names, values))
        has_epochs = storage.has(session, epochs)
        history = [{"epoch": epoch} | metrics for epoch, metrics in went.items()]
        notes = {ENVIRONMENT: RUN_ON} | ({} if has_epochs else {HISTORY: history})  # as up to version 0.5
        rows = session.execute(select(trials.c.trial_id, trials.c.number)).all()
        insert_attributes(session, user_attributes, [(row.trial_id, notes) for row in rows])
        result = went[EPOCHS]["validation_accuracy"]
        of_each = [
            {"trial_id": row.trial_id, "epoch": epoch, "metrics": json.dumps(metrics)}
            for row in rows
            for epoch, metrics in went.items()
        ]
        if has_epochs:
            session.execute(epochs.insert(), of_each)
        ours = [(row.trial_id, {CLAIM: f"{row.trial_id:032x}", RESULT: [row.number, result]}) for row in rows]
        insert_attributes(session, system_attributes, ours)
    storage.remove_session()
    storage.engine.dispose()


def table(figures: Mapping[str, Mapping[str, Spread]]) -> str:
    """The figures in lines, with a column for each version."""
    lines = [f"{'':28}" + "".join(f"{side:>26}" for side in figures)]
    for key, label in FIGURES.items():
        lines.append(f"{label:28}" + "".join(f"{measured[key]!s:>26}" for measured in figures.values()))
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--configurations", type=int, default=1_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    before = options.before and options.before.absolute()
    figures = measure(options.configurations, options.seeds, options.repeats, before)
    if options.json:
        plain = {side: {key: asdict(one) for key, one in found.items()} for side, found in figures.items()}
        print(json.dumps(plain, indent=2))
    else:
        print(f"{options.configurations:,} configurations of {options.seeds} seeds, {options.repeats} turns")
        print(table(figures))


if __name__ == "__main__":
    main()
