"""A study that `run` has finished."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.commands import STORED


@dataclass(frozen=True)
class FinishedRun:
    """A folder with a study that `run` has finished, and the output of `run`."""

    folder: Path
    run: subprocess.CompletedProcess[str]

    @property
    def storage(self) -> tuple[str, str]:
        return "--storage", f"sqlite:///{self.folder}/{STORED}"
