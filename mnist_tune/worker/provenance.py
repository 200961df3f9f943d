"""What a run ran on and with, as far as that can change the numbers."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from mnist_tune import __version__
from mnist_tune.hardware.devices import Runtime
from mnist_tune.jobs.mnist.raw_files import data_directory, data_fingerprint


def environment(runtime: Runtime, data: Path | None) -> dict[str, Any]:
    """Hardware, precision, versions and the hash of the data, as plain data to be stored with the run."""
    return {
        "device": runtime.device,
        "device_name": runtime.device_name,
        "precision": runtime.precision,
        "threads": runtime.threads,
        "mnist_tune": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),  # its own type would have the worker import torch to read it
        "torchvision": metadata.version("torchvision"),
        "data_sha256": data_fingerprint(data_directory(data)),
    }
