"""Complete trials that are given more epochs by who is killed, and what must be true afterwards."""

from __future__ import annotations

from collections import Counter

from mnist_tune.spec.growth import Amount, Growth
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.study.extend import extend_study
from mnist_tune.study.store import create_study, open_study
from mnist_tune.verification import verify
from tests.support.specs import tiny_spec
from tests.system.interrupted_processes import CELLS, SPEC, StudyPlace, finished_by_another, work_to_the_end

KEPT = SPEC.replace("[limits]", "[limits]\nkeep_last = true")
STANDINGS = (
    (2, {"COMPLETE": CELLS}),
    (4, {"FAIL": CELLS, "WAITING": CELLS}),
)
"""The epochs and the states of all trials, before and after."""


def all_ended(place: StudyPlace) -> None:
    """Make a study whose cells are complete, and have kept their last states."""
    create_study(open_storage(storage_url(place.url), create=True), tiny_spec(place.folder, KEPT))
    work_to_the_end(place)


def give_more(place: StudyPlace) -> None:
    """Give its trials two more epochs."""
    study = open_study(open_storage(storage_url(place.url)), "tiny")
    extend_study(study, Growth(epochs=Amount(number=4)), "0" * 32)


def given_or_as_before(place: StudyPlace) -> list[str]:
    """Check after `give_more`: all or nothing of it, and the study after it was given again and finished."""
    storage = open_storage(storage_url(place.url))
    problems = []
    for standings in (STANDINGS, STANDINGS[1:]):
        verification = verify(storage, "tiny", place.folder / "artifacts", place.folder / "checkpoints")
        problems += [str(outcome) for outcome in verification.outcomes if outcome.findings]
        study = open_study(storage, "tiny")
        states = Counter(trial.state.name for trial in storage.get_all_trials(study.study_id))
        if (standing := (study.spec.training.epochs, dict(states))) not in standings:
            problems.append(f"it has {standing}, which is none of {standings}")
        give_more(place)
    return problems + finished_by_another(place)
