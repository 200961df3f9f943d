"""The studies in a storage, one line each; one that cannot be read hides none of the others."""

from __future__ import annotations

from dataclasses import asdict

from mnist_tune.errors import MnistTuneError
from mnist_tune.results.reading import read_results
from mnist_tune.results.standing import totals
from mnist_tune.results.study_results import Results
from mnist_tune.service.calls import Overview
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.study.store import open_study, study_names


def overview(storage: GuardedStorage) -> list[Overview]:
    """All studies that this program made, oldest first."""
    return [_of(storage, name) for name in study_names(storage)]


def _of(storage: GuardedStorage, name: str) -> Overview:
    try:
        results = read_results(open_study(storage, name))
    except MnistTuneError as error:
        return Overview(name, f"cannot be read: {error}", None, None, [str(error)])
    return Overview(name, _standing(results), asdict(results.cells), results.best_as_json(), results.problems)


def _standing(results: Results) -> str:
    count = len(results.problems)
    damage = f"; {count:,} stored values are damaged: mnist-tune verify {results.name}" if count else ""
    return totals(results) + damage
