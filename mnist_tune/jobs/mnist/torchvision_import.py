"""Imports torchvision where it is used, with a one-line error if the installation does not allow it."""

import importlib
from importlib import metadata
from typing import Any

from mnist_tune.errors import MnistTuneError


def torchvision_module(name: str) -> Any:
    """The module `torchvision.NAME`. Raises MnistTuneError if torchvision does not fit torch."""
    try:
        return importlib.import_module(f"torchvision.{name}")
    except (ImportError, RuntimeError) as error:
        # torch and torchvision from different indexes fail with "operator torchvision::nms does not exist".
        from mnist_tune.text.wording import first_line

        reason = first_line(str(error))
        raise MnistTuneError(
            f"torchvision {_version('torchvision')} does not fit torch {_version('torch')} ({reason}); "
            "run: pip install --force-reinstall torch torchvision"
        ) from error


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(not installed)"
