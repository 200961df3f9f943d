"""Studies whose trials keep their last states, and are given more epochs."""

from __future__ import annotations

from pathlib import Path

from mnist_tune.contract.study import new_token
from mnist_tune.results.reading import read_results
from mnist_tune.results.study_results import Results
from mnist_tune.spec.growth import Amount, Growth
from mnist_tune.study.extend import Extension, extend_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.verification import verify
from mnist_tune.worker.loop import Ended
from tests.support.logged_job import Job, StepLog, expected
from tests.support.studies import opened_again, work

SPEC = """
[study]
name = "tiny"

[search.grid]
seed = [0, 1, 2]

[training]
epochs = 2

[limits]
keep_last = true
checkpoint_interval = 0
"""
SIX = Growth(epochs=Amount(number=6))
ALL_SIX = {seed: expected(seed, 6) for seed in range(3)}
"""What each cell has after six epochs that each followed the one before."""


def go_through(study: OpenStudy, folder: Path, max_trials: int | None = None) -> Ended:
    """Work as a worker does that has opened the study as it is given here."""
    job = Job(study.spec, folder / "checkpoints" / study.uid, StepLog(folder / "steps"), lambda _: None)
    return work(study, job, max_trials=max_trials, files=folder, log=lambda _: None)


def extend(study: OpenStudy, wanted: Growth = SIX, revision: str | None = None) -> Extension:
    return extend_study(opened_again(study), wanted, revision or new_token())


def broken(study: OpenStudy, folder: Path) -> list[str]:
    found = verify(study.storage, study.name, folder / "artifacts", folder / "checkpoints")
    return [str(one) for outcome in found.outcomes for one in outcome.findings]


def values_of(study: OpenStudy) -> dict[int, float]:
    """The value of each complete cell, by its seed."""
    return {one.parameters["seed"]: one.final_value for one in results_of(study).complete}


def results_of(study: OpenStudy) -> Results:
    return read_results(opened_again(study))
