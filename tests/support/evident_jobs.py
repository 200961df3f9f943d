"""A user's jobs that leave evidence: a line in a file for each epoch that begins, whatever happens then.

Each epoch's numbers depend on the state after the one before, and on random numbers.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["function", "command"]
NAME = "evident"
"""The name of the study, of the job's file, and of the spec."""
EPOCHS = 4
EPOCH_SECONDS = "EPOCH_SECONDS"
"""Environment variable: how long an epoch takes."""
EVIDENCE = "evidence"
"""The name of the file beside the job."""

NOTE = '''
def note(cell: int, epoch: int, run: int, worker: int, training: int, folder: str) -> None:
    """Say that an epoch begins; one write, so that it is there whole when this process is killed."""
    line = json.dumps([cell, epoch, run, worker, training, os.getpid(), time.monotonic_ns(), folder])
    file = os.open(Path(__file__).with_name("evidence"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, f"{line}\\n".encode())
    os.close(file)

RUN = int.from_bytes(os.urandom(4), "big")  # without the generators on which the numbers depend
'''
FUNCTION = f"""
import json, os, random, sys, time
from pathlib import Path
import torch
from mnist_tune import Hyperparameters, Trial, job
{NOTE}
@job(objective="error", direction="minimize")
def train(settings: Hyperparameters, trial: Trial) -> None:
    model = torch.nn.Linear(3, 1)
    trial.keep(model=model)
    run = int.from_bytes(os.urandom(4), "big")
    for epoch in trial.epochs():
        note(settings.seed, epoch, run, int(sys.argv[-1]), os.getpid(), "")
        time.sleep(float(os.environ["EPOCH_SECONDS"]))
        with torch.no_grad():
            model.weight.mul_(0.5).add_(torch.rand(3) + random.random())
        trial.report(error=model.weight.sum(), luck=random.random(), run=run)
    trial.save("model.safetensors", model)
"""
COMMAND = f"""
import json, os, random, sys, time
from pathlib import Path
{NOTE}
options = dict(word.removeprefix("--").split("=") for word in sys.argv[1:])
seed, epochs = int(options["seed"]), int(options["epochs"])
training = os.getppid()
worker = int(Path(f"/proc/{{training}}/cmdline").read_text().rstrip("\\0").split("\\0")[-1])
folder = Path(os.environ["MNIST_TUNE_CHECKPOINTS"])
state = folder / "state.json"
error, first = 1.0, 1
random.seed(seed)
if state.exists():
    error, first, (version, internal, gauss) = json.loads(state.read_text())
    random.setstate((version, tuple(internal), gauss))
for epoch in range(first, epochs + 1):
    note(seed, epoch, RUN, worker, training, str(folder.parent))
    print("in epoch", epoch)
    time.sleep(float(os.environ["EPOCH_SECONDS"]))
    error = error / 2 + random.random()
    luck = random.random()
    new = state.with_suffix(".new")
    new.write_text(json.dumps([error, epoch + 1, random.getstate()]))
    new.rename(state)
    with open(os.environ["MNIST_TUNE_REPORT"], "a") as report:
        print(json.dumps({{"epoch": epoch, "error": error, "luck": luck, "run": RUN}}), file=report)
(Path(os.environ["MNIST_TUNE_ARTIFACTS"]) / "model.txt").write_text(str(error))
"""
JOBS = {
    "function": (FUNCTION, f'file = "{NAME}.py:train"', "model.safetensors"),
    "command": (
        COMMAND,
        f'command = ["python", "{NAME}.py", "{{args}}"]\nobjective = "error"\ndirection = "minimize"',
        "model.txt",
    ),
}
"""By kind: the job's text, its table in the spec, and the file that it keeps."""
SPEC = """
[study]
name = "{name}"

[job]
{job}

[search.grid]
seed = {seeds}

[training]
epochs = {epochs}

[lease]
heartbeat_interval = {heartbeat}
grace_period = {grace}

[retry]
lost = -1
exception = 0

[limits]
checkpoint_interval = 0
"""


def evident_job(folder: Path, kind: Kind, cells: int, heartbeat: float, grace: float) -> Path:
    """Write the job and its spec into a folder; returns the spec's path."""
    folder.mkdir(parents=True, exist_ok=True)
    job, table, _ = JOBS[kind]
    (folder / f"{NAME}.py").write_text(job, encoding="utf-8")
    path = folder / f"{NAME}.toml"
    seeds = list(range(cells))
    text = SPEC.format(name=NAME, job=table, seeds=seeds, epochs=EPOCHS, heartbeat=heartbeat, grace=grace)
    path.write_text(text, encoding="utf-8")
    return path


@dataclass(frozen=True)
class Begun:
    """An epoch that has begun: which, in which run of the job, in which processes, and when."""

    cell: int
    epoch: int
    run: int
    worker: int
    training: int
    job: int
    at: int
    """By the host's monotonic clock, in nanoseconds."""
    folder: str
    """The temporary folder of a command."""


def runs_in(folder: Path) -> dict[int, list[list[Begun]]]:
    """Each cell's runs in the order of their beginnings, each with the epochs that it has begun."""
    runs: dict[int, dict[int, list[Begun]]] = defaultdict(dict)
    evidence = folder / EVIDENCE
    lines = evidence.read_text("utf-8").splitlines() if evidence.exists() else []
    for line in lines:
        begun = Begun(*json.loads(line))
        runs[begun.cell].setdefault(begun.run, []).append(begun)
    return {cell: list(of_cell.values()) for cell, of_cell in runs.items()}
