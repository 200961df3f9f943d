"""Fills in a command's placeholders, and its environment."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mnist_tune.errors import UserError

PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""Other braces are left as they are, so that an argument may be JSON."""
ALL_ARGUMENTS = "args"
"""An argument {args} stands for one --key=value for each hyperparameter."""
FOLDERS = {
    "report": "MNIST_TUNE_REPORT",
    "parameters": "MNIST_TUNE_PARAMETERS",
    "checkpoints": "MNIST_TUNE_CHECKPOINTS",
    "artifacts": "MNIST_TUNE_ARTIFACTS",
}
"""Placeholders for a trial's files and folders, with the environment variables that name them too."""
DEVICE = "MNIST_TUNE_DEVICE"
HIDDEN = ("MNIST_TUNE_STORAGE", "PGPASSWORD")
"""Variables that a command does not get: they may have the storage's password in them."""


def placeholders(command: Sequence[str]) -> Iterator[str]:
    """The names of all placeholders in a command."""
    for argument in command:
        yield from PLACEHOLDER.findall(argument)


def filled_in(command: Sequence[str], parameters: Mapping[str, Any], paths: Mapping[str, Path]) -> list[str]:
    """The command's arguments with values for their placeholders.

    Raises:
        UserError: a placeholder has no value in this trial.
    """
    values = {name: as_argument(value) for name, value in parameters.items()}
    values |= {name: str(path) for name, path in paths.items()}

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise UserError(
                f"the command needs {match[0]}, which this trial does not have; give it a default"
            )
        return values[match[1]]

    filled: list[str] = []
    for argument in command:
        if argument == f"{{{ALL_ARGUMENTS}}}":
            filled += [f"--{name}={as_argument(given)}" for name, given in parameters.items()]
        else:
            filled.append(PLACEHOLDER.sub(value, argument))
    return filled


def as_argument(value: Any) -> str:
    """A value as it stands in a command: numbers and true and false as in JSON, text as it is."""
    return value if isinstance(value, str) else json.dumps(value)


def environment_of(paths: Mapping[str, Path], device: str, threads: int) -> dict[str, str]:
    """The environment of a command: that of its worker, with the trial's paths and the worker's device.

    `python` is the one that mnist-tune runs with, unless the command names another by a path.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in HIDDEN}
    kind, _, index = device.partition(":")
    return (
        {"OMP_NUM_THREADS": str(threads)}
        | inherited
        | {FOLDERS[name]: str(path) for name, path in paths.items()}
        | {
            DEVICE: kind,
            "CUDA_VISIBLE_DEVICES": _visible(index) if kind == "cuda" else "",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", os.defpath)]),
            "PYTHONUNBUFFERED": "1",  # so that each line of its output is read when it is printed
        }
    )


def _visible(index: str) -> str:
    """The one GPU that the command may use, by the name that its worker's own variable gives it."""
    ours = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
    number = int(index or 0)
    return ours[number] if number < len(ours) else str(number)
