"""Commands as jobs: scripts that know nothing of mnist-tune but a few environment variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mnist_tune.results.eta import own_epochs
from mnist_tune.results.reading import read_results
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import State
from mnist_tune.study.store import open_study
from tests.support.commands import finish, start_command
from tests.support.own_jobs import own_job
from tests.support.studies import open_file

DECAY = '''
import argparse, json, os, random, signal, sys, time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--learning_rate", type=float)
parser.add_argument("--epochs", type=int)
parser.add_argument("--seed", type=int)
options = parser.parse_args()
here = Path(__file__).parent

def die_once(at: str) -> None:
    """Be killed here the first time, if the file `kill` is there."""
    if (here / "kill").exists() and not (here / at).exists():
        (here / at).touch()
        os.kill(os.getpid(), signal.SIGKILL)

state = Path(os.environ["MNIST_TUNE_CHECKPOINTS"]) / "state.json"
error, luck, first = 1.0, options.seed, 1
if state.exists():
    error, luck, first = json.loads(state.read_text())
for epoch in range(first, options.epochs + 1):
    error *= 1 - options.learning_rate
    luck = random.Random(luck).randrange(1000)
    print("in epoch", epoch)
    die_once(f"{options.learning_rate}-{epoch}-within")
    new = state.with_suffix(".new")
    new.write_text(json.dumps([error, luck, epoch + 1]))
    new.rename(state)
    die_once(f"{options.learning_rate}-{epoch}-saved")
    with open(os.environ["MNIST_TUNE_REPORT"], "a") as report:
        print(json.dumps({"epoch": epoch, "error": error, "luck": luck, "rows": 50}), file=report)
    die_once(f"{options.learning_rate}-{epoch}-after")
    time.sleep(float(os.environ.get("PAUSE", "0")))
(Path(os.environ["MNIST_TUNE_ARTIFACTS"]) / "model.txt").write_text(str(error))
'''
"""An error that becomes smaller in each epoch, with a state that is saved before each report."""
DECAY_SPEC = """
[study]
name = "decay"

[job]
command = ["python", "decay.py", "{args}"]
objective = "error"
direction = "minimize"
unit = "rows"

[job.hyperparameters]
learning_rate = 0.1

[search.grid]
learning_rate = [0.1, 0.5]

[training]
epochs = 3

[limits]
checkpoint_interval = 0

[retry]
lost = -1
"""


def command_job(folder: Path, script: str = DECAY, spec: str = DECAY_SPEC, name: str = "decay") -> Path:
    """Write a script and the spec that runs it into a folder; returns the spec's path."""
    return own_job(folder, script, spec, name)


def results_in(folder: Path, name: str = "decay") -> Results:
    """The results of a command's study in this folder."""
    return read_results(open_study(open_file(folder), name))


def run(spec: Path, folder: Path, *options: str, environment: dict[str, str] | None = None) -> str:
    """Run a study with one worker; returns what it printed."""
    line = ["run", str(spec), "--workers", "1", *options]
    answer = finish(start_command(*line, folder=folder, environment=environment))
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def numbers_of(results: Results) -> dict[float, list[dict[str, Any]]]:
    """The epochs of each cell, without times."""
    return {
        attempt.parameters["learning_rate"]: [
            {name: value for name, value in epoch.numbers.items() if name in ("error", "luck")}
            for epoch in attempt.history
        ]
        for attempt in results.complete
    }


def one_cell(spec: str = DECAY_SPEC) -> str:
    """The spec with only one of its cells."""
    return spec.replace("[0.1, 0.5]", "[0.5]")


def has_an_epoch(folder: Path) -> bool:
    """Whether a trial runs and has done an epoch of its own."""
    return any(
        attempt.state == State.RUNNING and own_epochs(attempt) for attempt in results_in(folder).attempts
    )
