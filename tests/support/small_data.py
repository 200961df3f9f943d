"""A configuration that trains in a moment, and truncated image files."""

from __future__ import annotations

from pathlib import Path

from mnist_tune.jobs.mnist import raw_files
from mnist_tune.jobs.mnist.image_sets import MNIST

CONFIGURATION = """
[training]
epochs = 1
precision = "fp32"

[data]
train_size = 200
validation_size = 100
"""


def truncated_data(folder: Path, whole: Path) -> Path:
    """A folder with MNIST, in which the end of one file is missing."""
    raw = folder / "truncated" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for file in MNIST.files:
        source = raw_files.raw_path(whole, file)
        if file.name.startswith("train-labels"):
            (raw / file.name).write_bytes(source.read_bytes()[:-100])
        else:
            (raw / file.name).symlink_to(source)
    return folder / "truncated"
