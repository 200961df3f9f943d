"""Describes what a trial ran on, as far as that can change the numbers."""

from __future__ import annotations

import platform
from typing import Any

from mnist_tune import __version__
from mnist_tune.hardware.devices import TORCH_VERSION, Runtime
from mnist_tune.jobs.description import Source


def environment(runtime: Runtime, source: Source) -> dict[str, Any]:
    """Hardware, versions and the job's code, as plain data to be stored with the trial; jobs add to it."""
    code = {f"job_{name}": value for name, value in source.model_dump(exclude_none=True).items()}
    return {
        "device": runtime.device,
        "device_name": runtime.device_name,
        "threads": runtime.threads,
        "mnist_tune": __version__,
        "python": platform.python_version(),
        "torch": TORCH_VERSION,
        **code,
    }
