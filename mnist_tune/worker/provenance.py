"""Describes what a trial ran on, as far as that can change the numbers."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from mnist_tune import __version__
from mnist_tune.hardware.devices import TORCH_VERSION, Runtime
from mnist_tune.jobs.mnist.raw_files import data_directory, data_fingerprint


def environment(runtime: Runtime, data: Path | None) -> dict[str, Any]:
    """Hardware, precision, versions and the data's hash, as plain data to be stored with the trial."""
    return {
        "device": runtime.device,
        "device_name": runtime.device_name,
        "precision": runtime.precision,
        "threads": runtime.threads,
        "mnist_tune": __version__,
        "python": platform.python_version(),
        "torch": TORCH_VERSION,
        "torchvision": metadata.version("torchvision"),
        "data_sha256": data_fingerprint(data_directory(data)),
    }
