"""Optuna's part in a worker's trials: draws parameters, and decides whether a trial ends early."""

from __future__ import annotations

from typing import Any

from optuna.study import Study
from optuna.trial import Trial

from mnist_tune.contract.claim import Claim
from mnist_tune.contract.study import Decision
from mnist_tune.records.distributions import distributions, drawn, suggest
from mnist_tune.records.parameters import one_of
from mnist_tune.search.history import LearntFrom
from mnist_tune.search.pruners import Judge
from mnist_tune.search.samplers import sampler
from mnist_tune.spec.conditions import SEED, wanted
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.storage.optuna_internals import begun_trial, use_storage


class Guide:
    """The sampler and the pruner of one study, for one worker."""

    def __init__(self, study: Study, storage: GuardedStorage, study_id: int, spec: Spec) -> None:
        """`study` is Optuna's object with the spec's pruner; no other object may use it."""
        self._spec = spec
        self._axes = drawn(spec)
        self._seen = LearntFrom(storage, study_id)
        self._study = study
        use_storage(study, self._seen)
        self._judge = Judge(self._study, self._seen)

    @property
    def prunes(self) -> bool:
        """Whether the study has a pruner, which may end trials early."""
        return self._spec.pruner is not None

    def take_up(self, spec: Spec) -> None:
        """Go by the study's spec as it is now: the search may have grown."""
        if spec is not self._spec:
            self._spec, self._axes = spec, drawn(spec)

    def parameters(self, claim: Claim) -> dict[str, Any]:
        """A claimed trial's parameters by name; missing ones are drawn by the study's sampler.

        A field whose condition does not hold is left out.

        Raises:
            Damaged: a stored parameter has a value that the spec does not have.
        """
        values: dict[str, Any] = {}
        trial: Trial | None = None
        for name in wanted(self._axes, self._spec.search.conditions, values):
            if name in claim.parameters:  # a grid's cell and a retry have them already
                values[name] = one_of(self._axes[name], claim.parameters[name])
                continue
            if name == SEED and self._spec.replicates is not None:
                values[name] = self._first_seed(claim)
                continue
            trial = trial or self._begin(claim)
            values[name] = suggest(trial, name, self._axes[name])
        # The seed of a replicate is given, and never drawn.
        given = {
            name: one_of(axis, claim.parameters[name])
            for name, axis in distributions(self._spec).items()
            if name not in self._axes and name in claim.parameters
        }
        return {name: values[name] for name in self._axes if name in values} | given

    def decide(self, trial_id: int) -> Decision:
        """What the pruner decides for a trial, from the values that are stored now."""
        return self._judge.decide(trial_id)

    def _first_seed(self, claim: Claim) -> int:
        """Give a trial the first seed: the others come with the study's race."""
        seed, axis = int(self._spec.training.seed), self._axes[SEED]
        self._seen.set_trial_param(claim.trial_id, SEED, axis.to_internal_repr(seed), axis)
        return seed

    def _begin(self, claim: Claim) -> Trial:
        self._study.sampler = sampler(self._spec, claim.number)
        # As in `ask`, the sampler sees the study as it is now, without waiting trials.
        return begun_trial(self._study, claim.trial_id, self._seen.get_all_trials())
