"""Takes over finished trials of an older study, so that a new study need not run them again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from optuna.trial import TrialState

from mnist_tune.errors import UserError
from mnist_tune.jobs.reference import JobTable
from mnist_tune.records.distributions import waiting_cells
from mnist_tune.records.stored_trial import StoredTrial
from mnist_tune.records.trials import read_trials
from mnist_tune.spec.conditions import SEED, is_whole, wanted
from mnist_tune.spec.differences import differences
from mnist_tune.spec.points import outside
from mnist_tune.spec.revisions import Point, key_of_point
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

    Those of a sampled search that its space has are its first tickets, one for each configuration: they count
    in n_trials.

    Raises:
        UserError: the study has no cell in common with `old`, or fewer tickets than there are results.
    """
    # Pruned trials are left out: they ended because of the other trials of their own study.
    with old.storage.transaction() as session:
        old_spec = old.spec_in(session)
        stored = read_trials(session, old.study_id, old_spec)
    complete = [trial for trial in stored.trials if trial.state is TrialState.COMPLETE]
    trained: dict[str, _Trained] = {}
    for trial in complete if _trains_alike(old_spec, spec) else []:
        # A trial with damage is run anew; its damage would be copied too.
        if trial.is_trained and not trial.problems:
            config = old_spec.configuration(trial.parameters)
            trained.setdefault(_key(config), _Trained(trial, config))
            # "auto" may take over the precision that it stood for, but not the other way round.
            ran_in = trial.attributes.get(ENVIRONMENT, {}).get("precision")
            if ran_in is not None and "precision" in config:
                config = config | {"precision": ran_in}
                trained.setdefault(_key(config), _Trained(trial, config))
    points = [dict(cell.params) for cell in waiting_cells(spec)]
    axes, conditions = spec.search.axes, spec.search.conditions
    found = {
        cell: trained[key].finished(old.name)
        for cell, point in enumerate(points)
        if is_whole(axes, conditions, point) and (key := _key(spec.configuration(point))) in trained
    }
    if spec.search.grid is None:
        found |= _tickets(old.name, spec, trained.values(), found)
    if not found:
        why = _differing(old_spec, spec) if complete else "none of its cells has finished"
        raise UserError(f"--reuse {old.name}: has no finished cell of this study; {why}")
    return found


class _Trained(NamedTuple):
    """A trial that can be taken over, and its hyperparameters."""

    trial: StoredTrial
    configuration: dict[str, Any]

    def finished(self, study: str, point: Point | None = None) -> Finished:
        """The trial for a cell that has its parameters, or is to have those of `point`."""
        trial = self.trial
        return Finished(study, trial.number, trial.trial_id, trial.attributes[CLAIM], point)


def _tickets(
    old: str, spec: Spec, trained: Iterable[_Trained], found: Mapping[int, Finished]
) -> dict[int, Finished]:
    """The trials whose configurations the space has, by the ticket that is to be theirs. Raises UserError."""
    taken = {finished.number for finished in found.values()}
    of_points: dict[Any, Finished] = {}
    for one in sorted(trained, key=lambda one: one.trial.number):
        point = _point_of(spec, one.configuration)
        if point is not None and one.trial.number not in taken:
            taken.add(one.trial.number)
            of_points.setdefault(key_of_point(point), one.finished(old, point))
    n_trials, first = spec.search.n_trials or 0, len(spec.search.first_points)
    if (needed := first + len(of_points)) > n_trials:
        counting = "results that are taken over" + (" and points" if first else "")
        raise UserError(
            f"--reuse {old}: {counting} count in n_trials, and there are {needed:,}: "
            f"write n_trials = {needed} or, to try something new, more"
        )
    return dict(enumerate(of_points.values(), start=first))


def _point_of(spec: Spec, configuration: dict[str, Any]) -> Point | None:
    """The point of a sampled search that trains with these hyperparameters; None if it has none."""
    axes, point = spec.search.axes, Point()
    if spec.replicates is not None and configuration[SEED] != spec.training.seed:
        return None  # a race gives the other seeds
    for name in wanted(axes, spec.search.conditions, point):
        if name not in configuration or outside(axes[name], configuration[name]) is not None:
            return None
        point[name] = configuration[name]
    is_it = _key(spec.configuration(point)) == _key(configuration)
    return {name: point[name] for name in axes if name in point} if is_it else None


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
    apart = ("hyperparameters", "more_epochs")
    return {key: value for key, value in job.document().items() if key not in apart}


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
