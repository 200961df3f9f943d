"""The studies in a storage, one line each; one that cannot be read hides none of the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mnist_tune.errors import MnistTuneError
from mnist_tune.results.reading import read_results
from mnist_tune.results.standing import totals
from mnist_tune.results.study_results import Results
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.study.store import open_study, study_names

SHOWN = ("study", "cells", "best")
"""The parts of a study's results that are shown."""


@dataclass(frozen=True)
class Overview:
    """A study's results, or why it cannot be read."""

    name: str
    results: Results | None
    problem: str | None = None

    @property
    def standing(self) -> str:
        """The study's state in one line."""
        if self.results is None:
            return f"cannot be read: {self.problem}"
        count = len(self.results.problems)
        damage = f"; {count:,} stored values are damaged: mnist-tune verify {self.name}" if count else ""
        return totals(self.results) + damage

    def as_json(self) -> dict[str, Any]:
        """The study as plain data for JSON."""
        if self.results is None:
            return {"study": self.name, "cells": None, "best": None, "problems": [self.problem]}
        plain = self.results.as_json()
        return {key: plain[key] for key in SHOWN} | {"problems": self.results.problems}


def overview(storage: GuardedStorage) -> list[Overview]:
    """All studies that this program made, oldest first."""
    return [_of(storage, name) for name in study_names(storage)]


def _of(storage: GuardedStorage, name: str) -> Overview:
    try:
        return Overview(name, read_results(open_study(storage, name)))
    except MnistTuneError as error:
        return Overview(name, None, str(error))
