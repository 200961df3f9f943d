"""The trials that samplers and pruners see: all attempts except failed ones, each read once.

Samplers also see the results that were imported, pruners do not: these have no epochs.
"""

from __future__ import annotations

import copy
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import orm, select
from sqlalchemy.exc import NoResultFound

from mnist_tune.errors import Damaged
from mnist_tune.jobs.hyperparameters import MOST
from mnist_tune.records.imported import is_imported
from mnist_tune.records.trained import TrainedTrials, trained_in
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.storage.keys import CELL
from mnist_tune.storage.optuna_internals import trial_id_of, trials

INSTRUCTIVE = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
"""The states of trials that samplers learn from; running ones show where others are looking.

Failed attempts are left out: their cell is tried again, and would be compared with itself.
"""
MOST_AT_ONCE = 500
"""How many trials one statement asks for: databases bound the number of its parameters."""
ABOVE_ALL = MOST
"""The highest id that the column can hold, so that no trial is above it."""


class LearntFrom:
    """A study's storage that shows Optuna's samplers and pruners only the trials to learn from.

    A trial that has ended never changes, so it is read and parsed once. All other methods are those of
    `storage`.
    """

    def __init__(self, storage: GuardedStorage, study_id: int) -> None:
        self._storage = storage
        self._study_id = study_id
        self._ended: dict[int, FrozenTrial] = {}
        self._trained: TrainedTrials | None = None
        self._draft: dict[str, float] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    @contextmanager
    def drafting(self) -> Iterator[dict[str, float]]:
        """A block in which the parameters that a sampler draws are only noted, as they would be stored."""
        draft: dict[str, float] = {}
        self._draft = draft
        try:
            yield draft
        finally:
            self._draft = None

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Note a parameter that is drafted, or store it."""
        if self._draft is None:
            self._storage.set_trial_param(trial_id, param_name, param_value_internal, distribution)
        else:
            self._draft[param_name] = param_value_internal

    def is_trained(self, session: orm.Session, trial_id: int) -> bool:
        """Whether a worker has trained this trial of the study to its end."""
        self._trained = self._trained or trained_in(session, self._study_id)
        with suppress(Damaged, NoResultFound):
            return self._trained.has_its_result(self._storage.frozen(session, trial_id))
        return False

    def get_all_trials(
        self, _study_id: int = 0, deepcopy: bool = False, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """The study's present trials in these states, without waiting and failed ones."""
        asked = [state for state in INSTRUCTIVE if states is None or state in states]
        of_study = trials.c.study_id == self._study_id, trials.c.state.in_(asked)
        with self._storage.transaction() as session:
            found = session.execute(select(trials.c.trial_id).where(*of_study).order_by(trials.c.number))
            numbered = list(found.scalars())
            trained = self._trained = self._trained or trained_in(session, self._study_id)
        new = [trial_id for trial_id in numbered if trial_id not in self._ended]
        read: dict[int, FrozenTrial] = {}
        for first in range(0, len(new), MOST_AT_ONCE):
            some = set(new[first : first + MOST_AT_ONCE])
            # Optuna's own reader takes ids only with a bound above which it takes all trials.
            of_these = self._storage.readable_trials(self._study_id, some, ABOVE_ALL)
            read |= {trial_id_of(trial): trial for trial in of_these}
        self._ended |= {key: trial for key, trial in read.items() if trial.state.is_finished()}
        current = (self._ended.get(trial_id) or read.get(trial_id) for trial_id in numbered)
        readable = (trial for trial in current if trial is not None and trial.state in asked)
        shown = [trial for trial in readable if _is_instructive(trial, trained)]
        return copy.deepcopy(shown) if deepcopy else shown


def _is_instructive(trial: FrozenTrial, trained: TrainedTrials) -> bool:
    """Whether the trial runs for a cell, was trained to its end by a worker, or was imported."""
    if CELL not in trial.system_attrs:
        return is_imported(trial)
    return trial.state == TrialState.RUNNING or trained.has_its_result(trial)
