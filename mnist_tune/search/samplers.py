"""Optuna's samplers for the searches that a spec may name, one sampler for each trial."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy
from optuna._transform import _SearchSpaceTransform
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, GridSampler, RandomSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from mnist_tune.records.distributions import distributions
from mnist_tune.spec.study_spec import Spec

if TYPE_CHECKING:
    from optuna.study import Study


class CellSampler(GridSampler):
    """Optuna's grid, without its stop signal: our queue knows when the grid is done.

    Stock `after_trial` reads every trial and calls `study.stop()`, which raises outside `optimize`.
    """

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        pass


class CellGPSampler(GPSampler):
    """Optuna's Gaussian process over the fields that every trial has, with those that run (qLogEI).

    Stock takes the fields that all complete trials have in common, which with conditions change as it goes,
    and learns nothing of pruned trials: beside a pruner that ends nine of ten, it would hardly ever begin to.
    """

    def __init__(self, shared: dict[str, BaseDistribution], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._shared = shared

    def infer_relative_search_space(self, *_: Any) -> dict[str, BaseDistribution]:
        return self._shared

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        counted: Any = _PrunedCount(study)
        return super().sample_relative(counted, trial, search_space)


class _PrunedCount:
    """A study in which a pruned trial is complete, with the accuracy it had when it was ended."""

    def __init__(self, study: Study) -> None:
        self._study = study

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def _get_trials(self, *, states: Sequence[TrialState], **_: Any) -> list[FrozenTrial]:
        found = self._study._get_trials(deepcopy=False, states=(*states, TrialState.PRUNED))
        return [_completed(trial) if trial.state == TrialState.PRUNED else trial for trial in found]


def _completed(trial: FrozenTrial) -> FrozenTrial:
    completed = copy.copy(trial)
    completed.state = TrialState.COMPLETE
    return completed


class CellCmaEsSampler(CmaEsSampler):
    """Optuna's CMA-ES over the ranges that every trial has; pruned trials count with what they had.

    Its distribution is made anew for each trial by telling it all generations once more, in the order in
    which their trials ended. Stock pickles it into the storage, and unpickles what it finds there: whoever
    may write to the database could have every worker run their code.

    Trials that run are not told, and need not be: they are members of the same generation, each drawn on
    its own from the same distribution, and what they give counts when they end.
    """

    def __init__(self, shared: dict[str, BaseDistribution], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._shared = shared

    def infer_relative_search_space(self, *_: Any) -> dict[str, BaseDistribution]:
        return self._shared

    def _restore_optimizer(self, completed_trials: list[FrozenTrial]) -> Any:
        space = _SearchSpaceTransform(self._shared, transform_0_1=True)
        optimizer = self._init_optimizer(space, StudyDirection.MAXIMIZE)
        ended = sorted(completed_trials, key=lambda trial: (trial.datetime_complete, trial.number))
        size = optimizer.population_size
        # To the last whole one, so that stock finds none to tell, and nothing to store.
        while len(members := self._get_solution_trials(ended, optimizer.generation)) >= size:
            told = [(space.transform(trial.params), -(trial.value or 0.0)) for trial in members[:size]]
            optimizer.tell(told)
        return optimizer


def sampler(spec: Spec, trial_number: int) -> BaseSampler:
    """The sampler that suggests the parameters of one trial.

    Its seed is derived from the search's seed and the trial's number, so that what a trial is given does
    not depend on which worker runs it.
    """
    search = spec.search
    if search.grid is not None:
        return CellSampler(search.grid)
    seed = int(numpy.random.SeedSequence([search.seed, trial_number]).generate_state(1)[0])
    startup: dict[str, Any] = (
        {} if search.n_startup_trials is None else {"n_startup_trials": search.n_startup_trials}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # of no use to who reads a worker's log
        match search.sampler:
            case "random":
                return RandomSampler(seed=seed)
            case "tpe":
                return TPESampler(seed=seed, constant_liar=True, **startup)
            case "gp":
                return CellGPSampler(_shared(spec), seed=seed, warn_independent_sampling=False, **startup)
            case "cmaes":
                ranges = {
                    name: axis
                    for name, axis in _shared(spec).items()
                    if not isinstance(axis, CategoricalDistribution)
                }
                return CellCmaEsSampler(
                    ranges,
                    seed=seed,
                    warn_independent_sampling=False,
                    consider_pruned_trials=True,
                    **startup,
                )
    raise AssertionError(f"{search.sampler} is no sampler")


def _shared(spec: Spec) -> dict[str, BaseDistribution]:
    """The distributions of the fields that every trial has, and that have more than one value."""
    axes = distributions(spec)
    return {
        name: axis
        for name, axis in sorted(axes.items())
        if name not in spec.search.conditions and not axis.single()
    }
