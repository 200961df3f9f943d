"""The private parts of Optuna's samplers and pruners that mnist-tune uses; see optuna_internals.py."""

from __future__ import annotations

import binascii
import copy
from collections.abc import Sequence
from typing import Any

from optuna._transform import _SearchSpaceTransform
from optuna.distributions import BaseDistribution
from optuna.pruners import HyperbandPruner
from optuna.samplers import CmaEsSampler, QMCSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

PLACES = 2**20
"""How many places of a sequence are used at most: enough for every draw of every cell of a study."""


class WithPruned:
    """A study that shows samplers its pruned trials as complete; samplers read it by a private method.

    The value of a pruned trial is the one it had when it was ended.
    """

    def __init__(self, study: Study) -> None:
        self._study = study

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def _get_trials(self, *, states: Sequence[TrialState], **_: Any) -> list[FrozenTrial]:
        found = self._study._get_trials(deepcopy=False, states=(*states, TrialState.PRUNED))
        shown = [copy.copy(trial) for trial in found]  # Optuna's cache must keep its states
        for trial in shown:
            trial.state = TrialState.COMPLETE if trial.state == TrialState.PRUNED else trial.state
        return shown


class RetoldCmaEsSampler(CmaEsSampler):
    """CMA-ES over given ranges, with a distribution that is computed anew from all finished generations.

    Stock pickles the distribution into the storage and unpickles what it finds there: whoever can write to
    the database could have workers run their code. Trials are told in the order in which they ended, and
    running ones are left out: the members of a generation are drawn independently from one distribution.
    """

    def __init__(self, ranges: dict[str, BaseDistribution], sign: int, **arguments: Any) -> None:
        """`sign` is 1 if larger values are better, else -1."""
        super().__init__(**arguments)
        self._ranges = ranges
        self._sign = sign

    def infer_relative_search_space(self, *_: Any) -> dict[str, BaseDistribution]:
        return self._ranges

    def _restore_optimizer(self, completed_trials: list[FrozenTrial]) -> Any:
        space = _SearchSpaceTransform(self._ranges, transform_0_1=True)
        direction = StudyDirection.MAXIMIZE if self._sign > 0 else StudyDirection.MINIMIZE
        optimizer = self._init_optimizer(space, direction)
        ended = sorted(completed_trials, key=lambda trial: (trial.datetime_complete, trial.number))
        size = optimizer.population_size
        # Only whole generations, so that stock finds none left to tell, and nothing to store.
        while len(members := self._get_solution_trials(ended, optimizer.generation)) >= size:
            pairs = ((space.transform(trial.params), trial.values) for trial in members[:size])
            optimizer.tell([(point, -self._sign * values[0]) for point, values in pairs])  # it minimises
        return optimizer


class PlacedQMCSampler(QMCSampler):
    """Optuna's quasi-random sequence over given fields, in which a number of the trial's is its place.

    Stock counts in the study's attributes, and workers that read the count at once get the same place.
    """

    def __init__(
        self, space: dict[str, BaseDistribution], attribute: str, beyond: int, **arguments: Any
    ) -> None:
        """`attribute` names the trial's system attribute with its place, to which `beyond` is added."""
        super().__init__(**arguments)
        self._space = space
        self._attribute = attribute
        self._beyond = beyond
        self._place = 0

    def infer_relative_search_space(self, *_: Any) -> dict[str, BaseDistribution]:
        return self._space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        # The way to a place takes time, and a stored number may be damaged.
        self._place = (self._beyond + int(trial.system_attrs.get(self._attribute, trial.number))) % PLACES
        return super().sample_relative(study, trial, search_space)

    def _find_sample_id(self, *_: Any) -> int:
        return self._place


class BracketHyperbandPruner(HyperbandPruner):
    """Optuna's Hyperband pruner, in which a number in a trial's attributes chooses its bracket.

    Stock uses the study's name and the trial's number, so that a retry would be in another bracket.
    """

    def __init__(self, seed: int, attribute: str, **arguments: Any) -> None:
        """`attribute` names the trial's system attribute with the number that chooses the bracket."""
        super().__init__(**arguments)
        self._seed = seed
        self._attribute = attribute
        # Optuna sets the brackets up at the first decision, but samplers ask for them before that.
        self._try_initialization(None)  # type: ignore[arg-type]  # of use for an unknown maximum only

    def _get_bracket_id(self, _: Study, trial: FrozenTrial) -> int:
        number = trial.system_attrs.get(self._attribute, trial.number)
        place = binascii.crc32(f"{self._seed}_{number}".encode()) % self._total_trial_allocation_budget
        for bracket, budget in enumerate(self._trial_allocation_budgets):
            place -= budget
            if place < 0:
                return bracket
        raise AssertionError("the budgets add up to their total")
