"""Studies that settle: races over seeds whose values are made."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mnist_tune.contract.claim import Claim, Standing
from mnist_tune.contract.study import StudyForWorkers
from mnist_tune.spec.rounds import Round
from mnist_tune.study.direct import DirectStudy
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.verification import verify
from tests.support.contract_calls import ME, asked
from tests.support.studies import folders, opened_again

SETTLING_SPEC = """
[study]
name = "tiny"

[search.grid]
learning_rate = [0.1, 0.01, 0.001]

[replicates]
start = 2
max = 6
indifference = {indifference}

[data]
train_size = 2000
validation_size = 2000

[retry]
non_finite = 0
"""
CLEAR = SETTLING_SPEC.format(indifference=0.0)
"""Three configurations, with at most six seeds each."""

Value = Callable[[Mapping[str, Any]], float]
MEANS = {0.1: 80.0, 0.01: 95.0, 0.001: 93.0}


def made_value(parameters: Mapping[str, Any]) -> float:
    """A clear difference between configurations, and a little noise of each seed."""
    noise = random.Random(repr(sorted(parameters.items()))).gauss(0, 0.3)
    mean = MEANS.get(parameters["learning_rate"], 70.0)
    return round(mean + 0.3 * float(parameters["seed"]) + noise, 2)


def alike_value(parameters: Mapping[str, Any]) -> float:
    """Nothing but noise."""
    return round(90 + random.Random(repr(sorted(parameters.items()))).gauss(0, 1.0), 2)


def run_through(worker: StudyForWorkers, value: Value, most: int = 1000) -> Standing | None:
    """Complete cells until none can be claimed, and return why, or until so many are done."""
    for _ in range(most):
        if isinstance(claim := asked(worker), Standing):
            return claim
        complete(worker, claim, value)
    return None


def complete(worker: StudyForWorkers, claim: Claim, value: Value) -> None:
    """End a claimed cell with its value."""
    ends = value(worker.parameters(claim))
    worker.complete(claim, ends, {"reports": {10: ends}})


def worker_of(study: OpenStudy, folder: Path) -> DirectStudy:
    """The study as a worker of another process sees it."""
    direct = DirectStudy(opened_again(study), folders(folder))
    direct.register(ME)
    return direct


def seeds_by_rate(study: OpenStudy) -> dict[float, list[int]]:
    """The seeds that each configuration has been given."""
    found: dict[float, list[int]] = {}
    for trial in study.storage.get_all_trials(study.study_id):
        found.setdefault(trial.params["learning_rate"], []).append(trial.params["seed"])
    return {rate: sorted(seeds) for rate, seeds in found.items()}


def rounds(study: OpenStudy) -> list[Round]:
    """What was judged, oldest first."""
    revisions = opened_again(study).spec.search.revisions or []
    return [revision.race for revision in revisions if revision.race is not None]


def broken(study: OpenStudy, folder: Path) -> list[str]:
    """What `verify` finds that is no remark."""
    places = folders(folder)
    found = verify(study.storage, study.name, places.artifacts.path, places.checkpoints.path).broken
    return [str(outcome) for outcome in found]
