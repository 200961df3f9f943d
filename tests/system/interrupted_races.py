"""A race over seeds whose judge is killed, and what must be true afterwards."""

from __future__ import annotations

from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.settle import settle
from mnist_tune.study.store import create_study, open_study
from tests.support.settling_studies import (
    CLEAR,
    alike_value,
    broken,
    rounds,
    run_through,
    seeds_by_rate,
    worker_of,
)
from tests.support.specs import tiny_spec
from tests.system.interrupted_processes import StudyPlace


def round_done(place: StudyPlace) -> None:
    """Make a study with a race whose first round is to be judged."""
    storage = open_storage(storage_url(place.url), create=True)
    create_study(storage, tiny_spec(place.folder, CLEAR))
    run_through(worker_of(_study(place), place.folder), alike_value, most=6)


def judge(place: StudyPlace) -> None:
    """Judge the round, and add the next one."""
    settle(_study(place))


def judged_or_as_before(place: StudyPlace) -> list[str]:
    """Check after `judge`: all or nothing of it, and the study after another has judged and finished it."""
    study = _study(place)
    problems = broken(study, place.folder)
    judged = len(rounds(study))
    n_seeds = {len(seeds) for seeds in seeds_by_rate(study).values()}
    if (judged, n_seeds) not in ((0, {2}), (1, {3})):
        problems.append(f"{judged} rounds are judged, and configurations have {n_seeds} seeds")
    judge(place)
    if len(rounds(study)) != 1:
        problems.append(f"another has judged {len(rounds(study))} rounds, not 1")
    run_through(worker_of(study, place.folder), alike_value)
    if {len(seeds) for seeds in seeds_by_rate(study).values()} != {6}:
        problems.append(f"it ended with the seeds {seeds_by_rate(study)}")
    return problems + broken(study, place.folder)


def _study(place: StudyPlace) -> OpenStudy:
    return open_study(open_storage(storage_url(place.url)), "tiny")
