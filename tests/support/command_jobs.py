"""Commands as jobs: scripts that know nothing of mnist-tune but a few environment variables."""

from __future__ import annotations

from pathlib import Path

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
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(script, encoding="utf-8")
    path = folder / f"{name}.toml"
    path.write_text(spec, encoding="utf-8")
    return path
