"""Small specs: as text, as files and as objects."""

from __future__ import annotations

from pathlib import Path

from mnist_tune.jobs.loading import built_in_description
from mnist_tune.spec.reading import load_spec
from mnist_tune.spec.study_spec import Spec, spec_class

MnistSpec = spec_class(built_in_description())
"""The specs of studies of the MNIST job."""
STUDIES = Path(__file__).parents[2] / "studies"

# The reference grid, on so few images that a trial takes a moment.
TINY_SPEC = """
[study]
name = "tiny"

[search.grid]
learning_rate = [0.001, 0.0001]
batch_size = [64, 128]
optimizer = ["Adam", "SGD"]

[training]
epochs = 2
precision = "fp32"

[data]
train_size = 200
validation_size = 100
"""

TWO_CELLS = """
[study]
name = "tiny"

[search.grid]
learning_rate = [0.001, 0.0001]
"""
ONE_CELL = TWO_CELLS.replace(", 0.0001", "")


def lease_lines(heartbeat_interval: float, grace_period: float, patience: float = 60.0) -> str:
    """The lines of a spec that set these values, in seconds."""
    return (
        f"\n[lease]\nheartbeat_interval = {heartbeat_interval}\n"
        f"grace_period = {grace_period}\nstorage_timeout = {patience}\n"
    )


def write_spec(folder: Path, text: str = TINY_SPEC, name: str = "spec.toml") -> Path:
    """Write a spec file in `folder`; returns its path."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def tiny_spec(folder: Path, text: str = TINY_SPEC) -> Spec:
    """The spec in `text`."""
    return load_spec(write_spec(folder, text))


# One cell that is long enough to be interrupted, with a lease short enough to wait for.
LONG_TRIAL = """
[study]
name = "tiny"

[search.grid]
learning_rate = [0.001]

[training]
epochs = 15
precision = "fp32"

[data]
train_size = 300
validation_size = 100

[lease]
heartbeat_interval = 0.5
grace_period = 3.0
"""
SEEDS_SPEC = """
[study]
name = "tiny"

[search.grid]
learning_rate = [0.001, 0.0001]
batch_size = [64, 128]
seed = [0, 1]
"""
SAMPLED_SPEC = """
[study]
name = "tiny"

[search]
sampler = "random"
n_trials = {n_trials}

[search.space]
learning_rate = {{low = 1e-5, high = 1e-1, log = true}}
batch_size = {{low = 16, high = 512, log = true}}
optimizer = ["Adam", "SGD"]
"""
