"""Optuna's private parts that mnist-tune touches: each stands here, once, with the reason for it.

Nothing else in the package imports a private module of Optuna or reads a private attribute of its objects.
tests/storage/test_optuna_internals.py and test_optuna_sampling.py say what each part is relied on for, and
fail first where one has moved. What the dashboard touches of optuna-dashboard is in dashboard/internals.py.
"""

from __future__ import annotations

import binascii
import copy
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeAlias

from optuna._transform import _SearchSpaceTransform
from optuna.artifacts import _upload
from optuna.distributions import BaseDistribution
from optuna.pruners import HyperbandPruner
from optuna.samplers import CmaEsSampler, GridSampler
from optuna.storages import RDBStorage
from optuna.storages._cached_storage import _CachedStorage
from optuna.storages._rdb import models
from optuna.study import Study, StudyDirection
from optuna.study._frozen import FrozenStudy as FrozenStudy
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy import orm

from mnist_tune.storage.engine import utc

# Optuna's tables, for statements in SQL. What the queue promises takes one statement with its condition;
# Optuna's own methods read, decide, and write in several transactions.

TABLES = models.BaseModel.metadata
"""All of Optuna's tables."""
VERSIONS = models.VersionInfoModel.__table__
"""The version of the schema, and of the Optuna that made it."""
SCHEMA_VERSION: int = models.SCHEMA_VERSION
"""The version of the schema that this Optuna makes."""
MIGRATIONS = Path(models.__file__).parent / "alembic"
"""Optuna's own migrations: a schema is made in one transaction only if we make it."""

studies = models.StudyModel.__table__
study_directions = models.StudyDirectionModel.__table__
study_attributes = models.StudyUserAttributeModel.__table__
study_system_attributes = models.StudySystemAttributeModel.__table__
trials = models.TrialModel.__table__
heartbeats = models.TrialHeartbeatModel.__table__
system_attributes = models.TrialSystemAttributeModel.__table__
user_attributes = models.TrialUserAttributeModel.__table__
objective_values = models.TrialValueModel.__table__
intermediate_values = models.TrialIntermediateValueModel.__table__
parameters = models.TrialParamModel.__table__

stored_value = models.TrialValueModel.value_to_stored_repr
"""A final value as its two columns have it: infinities and nan are stored by name."""
stored_intermediate_value = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr
"""A reported value as its two columns have it."""

ARTIFACTS_ATTR_PREFIX: str = _upload.ARTIFACTS_ATTR_PREFIX
"""Begins the names of the system attributes that list the files of a study or of a trial."""


class ReadableStorage(RDBStorage):
    """Optuna's storage with names for what it keeps to itself, and with its times in UTC.

    Its public readers take one trial or all of them, each in a transaction of its own.
    """

    @staticmethod
    def _fill_storage_url_template(template: str) -> str:
        # Stock calls str.format here, which stumbles over, and prints, a password with braces.
        return template

    def trial_in(self, session: orm.Session, trial_id: int) -> FrozenTrial:
        """A trial as Optuna reads it, in the caller's transaction. Damaged rows make it raise anything."""
        return self._build_frozen_trial_from_trial_model(session.get_one(models.TrialModel, trial_id))

    def trials_among(self, study_id: int, trial_ids: set[int], above: int) -> list[FrozenTrial]:
        """These trials of a study and all with an id above that one, in a few statements."""
        return self._get_trials(study_id, None, trial_ids, above)

    def writing_a_parameter(self, _trial_id: int) -> AbstractContextManager[Any]:
        """Around stock's write of a parameter, for whoever has something to check in its transaction."""
        return nullcontext()

    def _build_frozen_trial_from_trial_model(self, trial: models.TrialModel) -> FrozenTrial:
        row: Any = _InUtc(trial)
        return super()._build_frozen_trial_from_trial_model(row)

    def _set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
        previous_distribution: BaseDistribution | None,
    ) -> None:
        # Stock finds the thread's session open, and commits it.
        with self.writing_a_parameter(trial_id):
            super()._set_trial_param(
                trial_id, param_name, param_value_internal, distribution, previous_distribution
            )


class _InUtc:
    """A row of a trial, as Optuna's reader sees it, with its times in UTC.

    Stock turns them into local times without a zone: in the hour that comes twice, nobody knows which.
    """

    def __init__(self, row: Any) -> None:
        self._row = row
        self.datetime_start = utc(row._datetime_start_utc)
        self.datetime_complete = utc(row._datetime_complete_utc)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._row, name)


CachedStorage: TypeAlias = _CachedStorage
"""Optuna's cache of trials. optuna-dashboard puts one over any storage that is none itself."""


def frozen_study(
    study_id: int, name: str, directions: list[StudyDirection], user: dict[str, Any], system: dict[str, Any]
) -> FrozenStudy:
    """A study as Optuna's storages list it: they read all studies at once, and stumble over a damaged one."""
    return FrozenStudy(name, None, user, system, study_id, directions=directions)


def study_id_of(study: FrozenStudy) -> int:
    """The id of a study's row: its name alone does not tell it from one that had the name before."""
    return study._study_id


def trial_id_of(trial: FrozenTrial) -> int:
    """The id of a trial's row, by which our statements name it."""
    return trial._trial_id


def check_consistency(trial: FrozenTrial) -> None:
    """Raises ValueError where the times, values and parameters of a trial do not fit its state."""
    trial._validate()


def contains(distribution: BaseDistribution, internal: float) -> bool:
    """Whether a parameter may have a value, given as it is stored: a number, of a choice its place."""
    return distribution._contains(internal)


def grid_points(grid: GridSampler) -> list[dict[str, Any]]:
    """All points of a grid in the order of their grid ids, so that stock GridSampler finds them visited."""
    return [dict(zip(grid._param_names, point, strict=True)) for point in grid._all_grids]


def use_storage(study: Study, storage: Any) -> None:
    """Have a study read and write through this object.

    `load_study` puts a cache in between, which reads every waiting cell anew for each trial.
    """
    study._storage = storage


@contextmanager
def reading_through(study: Study, storage: Any) -> Iterator[None]:
    """A block in which a study reads and writes through this object."""
    kept = study._storage
    use_storage(study, storage)
    try:
        yield
    finally:
        use_storage(study, kept)


def begun_trial(study: Study, trial_id: int, seen: list[FrozenTrial]) -> Trial:
    """A running trial whose parameters a sampler is to draw, which sees these trials.

    Stock `ask` gives such a trial, but claims a waiting trial for it, or makes a new one.
    """
    study._thread_local.cached_all_trials = seen
    return Trial(study, trial_id)


class WithPruned:
    """A study as samplers read it, by a private method, in which pruned trials are complete.

    Their values are those they had when they were ended.
    """

    def __init__(self, study: Study) -> None:
        self._study = study

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def _get_trials(self, *, states: Sequence[TrialState], **_: Any) -> list[FrozenTrial]:
        found = self._study._get_trials(deepcopy=False, states=(*states, TrialState.PRUNED))
        shown = [copy.copy(trial) for trial in found]  # their states are not to change in Optuna's cache
        for trial in shown:
            trial.state = TrialState.COMPLETE if trial.state == TrialState.PRUNED else trial.state
        return shown


class RetoldCmaEsSampler(CmaEsSampler):
    """CMA-ES over given ranges; its distribution is made anew for each trial by telling it all generations.

    They are told in the order in which their trials ended. Stock pickles the distribution into the storage,
    and unpickles what it finds there: whoever may write to the database could have workers run their code.

    Trials that run are not told. They are members of the same generation, each drawn on its own from the same
    distribution, and what they give counts when they end.
    """

    def __init__(self, ranges: dict[str, BaseDistribution], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._ranges = ranges

    def infer_relative_search_space(self, *_: Any) -> dict[str, BaseDistribution]:
        return self._ranges

    def _restore_optimizer(self, completed_trials: list[FrozenTrial]) -> Any:
        space = _SearchSpaceTransform(self._ranges, transform_0_1=True)
        optimizer = self._init_optimizer(space, StudyDirection.MAXIMIZE)
        ended = sorted(completed_trials, key=lambda trial: (trial.datetime_complete, trial.number))
        size = optimizer.population_size
        # To the last whole one, so that stock finds none to tell, and nothing to store.
        while len(members := self._get_solution_trials(ended, optimizer.generation)) >= size:
            pairs = ((space.transform(trial.params), trial.values) for trial in members[:size])
            optimizer.tell([(point, -values[0]) for point, values in pairs])
        return optimizer


class BracketHyperbandPruner(HyperbandPruner):
    """Optuna's, with brackets that a trial is in by a number that its attributes give.

    Stock takes the study's name and the trial's number: an attempt that is made again would be in another.
    """

    def __init__(self, seed: int, attribute: str, **arguments: Any) -> None:
        """`attribute`: the name of the trial's system attribute that says in which bracket it is."""
        super().__init__(**arguments)
        self._seed = seed
        self._attribute = attribute
        # Optuna sets the brackets up at the first decision; samplers ask for them before that.
        self._try_initialization(None)  # type: ignore[arg-type]  # of use for an unknown maximum only

    def _get_bracket_id(self, _: Study, trial: FrozenTrial) -> int:
        number = trial.system_attrs.get(self._attribute, trial.number)
        place = binascii.crc32(f"{self._seed}_{number}".encode()) % self._total_trial_allocation_budget
        for bracket, budget in enumerate(self._trial_allocation_budgets):
            place -= budget
            if place < 0:
                return bracket
        raise AssertionError("the budgets add up to their total")
