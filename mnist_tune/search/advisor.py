"""Optuna's part in a worker's trials: draws parameters, and decides whether a trial ends early."""

from __future__ import annotations

from typing import Any

from optuna.study import Study

from mnist_tune.contract.claim import Claim
from mnist_tune.contract.study import Decision
from mnist_tune.records.distributions import distributions, drawn
from mnist_tune.records.parameters import one_of
from mnist_tune.search.drawing import Drawing, TakeOver
from mnist_tune.search.history import LearntFrom
from mnist_tune.search.pruners import Judge
from mnist_tune.spec.conditions import wanted
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.storage.optuna_internals import use_storage


class Guide:
    """The sampler and the pruner of one study, for one worker."""

    def __init__(
        self, study: Study, storage: GuardedStorage, study_id: int, spec: Spec, take_over: TakeOver
    ) -> None:
        """`study` is Optuna's object with the spec's pruner; no other object may use it."""
        self._go_by(spec)
        self._seen = LearntFrom(storage, study_id)
        self._study = study
        use_storage(study, self._seen)
        self._judge = Judge(self._study, self._seen)
        self._drawing = Drawing(study, self._seen, storage, study_id, take_over)

    @property
    def prunes(self) -> bool:
        """Whether the study has a pruner, which may end trials early."""
        return self._spec.pruner is not None

    def take_up(self, spec: Spec) -> None:
        """Go by the study's spec as it is now: the search may have grown."""
        if spec is not self._spec:
            self._go_by(spec)

    def _go_by(self, spec: Spec) -> None:
        self._spec = spec
        self._axes = drawn(spec)
        self._given = {name: axis for name, axis in distributions(spec).items() if name not in self._axes}
        """The seed of a replicate, which is never drawn."""

    def parameters(self, claim: Claim) -> dict[str, Any]:
        """A claimed trial's parameters by name; missing ones are drawn by the study's sampler.

        A field whose condition does not hold is left out.

        Raises:
            Damaged: a stored parameter has a value that the spec does not have.
            LeaseLost: the trial is not to be trained, and why.
            SamplerFailed: another package's sampler has failed.
        """
        known: dict[str, Any] = {}
        is_whole = True
        for name in wanted(self._axes, self._spec.search.conditions, known):
            if name in claim.parameters:  # a grid's cell and a retry have them already
                known[name] = one_of(self._axes[name], claim.parameters[name])
            else:
                is_whole = False
        # The seed of a replicate is given, and never drawn.
        given = {
            name: one_of(axis, claim.parameters[name])
            for name, axis in self._given.items()
            if name in claim.parameters
        }
        known |= given
        values = known
        if not is_whole:
            values = self._drawing.draw(self._spec, self._axes, claim, known)
        elif self._spec.search.duplicates == "reuse":
            self._drawing.use_result(self._axes, claim, known)
        return {name: values[name] for name in self._axes if name in values} | given

    def decide(self, trial_id: int) -> Decision:
        """What the pruner decides for a trial, from the values that are stored now."""
        return self._judge.decide(trial_id)
