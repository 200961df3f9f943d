"""Takes over finished cells of an older study, so that a new study need not run them again."""

from __future__ import annotations

import json
from typing import Any

from optuna.trial import TrialState

from mnist_tune.errors import UserError
from mnist_tune.jobs.reference import JobTable
from mnist_tune.records.distributions import waiting_cells
from mnist_tune.records.stored_trial import StoredTrial
from mnist_tune.records.trials import read_trials
from mnist_tune.spec.differences import differences
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.storage.keys import CLAIM, ENVIRONMENT
from mnist_tune.study.finished import Finished
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import create_study, open_study, study_names


def create_study_reusing(storage: GuardedStorage, spec: Spec, name: str) -> tuple[bool, int]:
    """Create a study with results of the study `name`; returns whether it was created, and how many.

    Raises:
        UserError: see `create_study` and `finished_cells`.
    """
    if spec.study.name in study_names(storage):
        return create_study(storage, spec), 0
    finished = finished_cells(open_study(storage, name), spec)
    created = create_study(storage, spec, finished)
    return created, len(finished) if created else 0


def finished_cells(old: OpenStudy, spec: Spec) -> dict[int, Finished]:
    """The trials of `old` whose results cells of `spec` can take over, by cell: equal training, equal data.

    Raises:
        UserError: the search is sampled, or has no cell in common with `old`.
    """
    if spec.search.grid is None:
        raise UserError(
            f"--reuse {old.name}: a sampled search draws its own points; only a grid can take over cells"
        )
    # Pruned trials are left out: they ended because of the other trials of their own study.
    with old.storage.transaction() as session:
        old_spec = old.spec_in(session)
        stored = read_trials(session, old.study_id, old_spec)
    complete = [trial for trial in stored.trials if trial.state is TrialState.COMPLETE]
    trained: dict[str, StoredTrial] = {}
    for trial in complete if _trains_alike(old_spec, spec) else []:
        # A trial with damage is run anew; its damage would be copied too.
        if trial.is_trained and not trial.problems:
            config = old_spec.configuration(trial.parameters)
            trained.setdefault(_key(config), trial)
            # "auto" may take over the precision that it stood for, but not the other way round.
            ran_in = trial.attributes.get(ENVIRONMENT, {}).get("precision")
            if ran_in is not None and "precision" in config:
                trained.setdefault(_key(config | {"precision": ran_in}), trial)
    points = (_key(spec.configuration(dict(cell.params))) for cell in waiting_cells(spec))
    found = {cell: trained[config] for cell, config in enumerate(points) if config in trained}
    if not found:
        why = _differing(old_spec, spec) if complete else "none of its cells has finished"
        raise UserError(f"--reuse {old.name}: has no finished cell of this study; {why}")
    return {
        cell: Finished(old.name, trial.number, trial.trial_id, trial.attributes[CLAIM])
        for cell, trial in found.items()
    }


def _trains_alike(old: Spec, new: Spec) -> bool:
    """Whether two specs have the same job, with the same code, and the same data."""
    jobs = old.description.source, new.description.source
    return (
        _read_alike(old.job) == _read_alike(new.job)
        and jobs[0].sha256 == jobs[1].sha256
        and old.description.test_metric == new.description.test_metric
        and old.data.model_dump() == new.data.model_dump()
    )


def _read_alike(job: JobTable) -> dict[str, Any]:
    """What makes the results of two commands comparable: not their hyperparameters, which cells compare."""
    return {key: value for key, value in job.document().items() if key != "hyperparameters"}


def _key(configuration: dict[str, Any]) -> str:
    """A text that is the same for equal configurations."""
    return json.dumps(configuration, sort_keys=True)


def _differing(old: Spec, new: Spec) -> str:
    """The settings on which results depend and that differ between two specs, in words."""
    searched = {f"training.{name}" for name in (*old.search.axes, *new.search.axes)}
    phrases = [
        phrase
        for phrase in differences(old, new)
        if phrase.startswith(("job.", "training.", "data."))
        and not phrase.startswith("job.hyperparameters.")
        and phrase.split(" ")[0] not in searched
    ]
    return "; ".join(phrases) or "it has searched other values"
