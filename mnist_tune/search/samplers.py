"""Optuna's samplers for the searches that a spec may name; each trial gets a sampler of its own."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, GridSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from mnist_tune.records.distributions import drawn
from mnist_tune.search.own_samplers import own_sampler
from mnist_tune.spec.conditions import SEED
from mnist_tune.spec.search_space import MAX_CELLS
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.keys import CELL
from mnist_tune.storage.optuna_sampling import PlacedQMCSampler, RetoldCmaEsSampler, WithPruned

if TYPE_CHECKING:
    from optuna.study import Study


class CellSampler(GridSampler):
    """Optuna's grid sampler without its stop signal, since our queue knows when the grid is done.

    Stock `after_trial` reads every trial and calls `study.stop()`, which raises outside `optimize`.
    """

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        pass


class CellGPSampler(GPSampler):
    """Optuna's Gaussian process over the fields that every trial has, with running trials (qLogEI).

    Stock takes the fields that all complete trials have in common, which change during a search with
    conditions. It also ignores pruned trials: with a pruner that ends nine of ten, it would hardly ever start
    to learn.
    """

    def __init__(self, shared: dict[str, BaseDistribution], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._shared = shared

    def infer_relative_search_space(self, *_: Any) -> dict[str, BaseDistribution]:
        return self._shared

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        counted: Any = WithPruned(study)
        return super().sample_relative(counted, trial, search_space)


def sampler(spec: Spec, trial_number: int, draw: int = 0, *, at_random: bool = False) -> BaseSampler:
    """The sampler that draws the parameters of one trial: the search's own, or one that draws `at_random`.

    Its seed is derived from the search's seed, the trial's number, and how often it was drawn before, so that
    the parameters do not depend on the worker that runs the trial.

    Raises:
        UserError: another package brings the sampler, and it is not installed here or cannot be made.
    """
    search = spec.search
    if search.grid is not None:
        return CellSampler(search.grid)
    seed = int(seeds(spec, trial_number, draw).generate_state(1)[0])
    startup: dict[str, Any] = (
        {} if search.n_startup_trials is None else {"n_startup_trials": search.n_startup_trials}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # of no use to readers of a worker's log
        match "random" if at_random else search.sampler:
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
                return RetoldCmaEsSampler(
                    ranges,
                    spec.description.sign,
                    seed=seed,
                    warn_independent_sampling=False,
                    consider_pruned_trials=True,
                    **startup,
                )
            case "qmc":
                # A cell's place in the sequence is its number, so that no worker need ask others for it. What
                # is drawn again lies beyond the places of all cells.
                return PlacedQMCSampler(
                    _shared(spec),
                    CELL,
                    draw * MAX_CELLS,
                    qmc_type=search.qmc_type or "sobol",
                    scramble=bool(search.scramble),
                    seed=search.seed,
                    independent_sampler=RandomSampler(seed=seed),
                    warn_independent_sampling=False,
                )
            case _:
                return own_sampler(search.sampler, search.options or {}, seed)


def seeds(spec: Spec, trial_number: int, draw: int = 0) -> numpy.random.SeedSequence:
    """From which the random numbers of one draw of a trial's parameters come."""
    return numpy.random.SeedSequence([spec.search.seed, trial_number, *([draw] if draw else [])])


def _is_given(spec: Spec, name: str) -> bool:
    """Whether a field is not drawn: a race over seeds gives them."""
    return name == SEED and spec.replicates is not None


def _shared(spec: Spec) -> dict[str, BaseDistribution]:
    """The distributions of the fields that every trial has and that have more than one value."""
    axes = drawn(spec)
    return {
        name: axis
        for name, axis in sorted(axes.items())
        if name not in spec.search.conditions and not axis.single() and not _is_given(spec, name)
    }
