"""Optuna's private parts that mnist-tune uses: each is here, once, with its reason.

Nothing else in the package imports a private module of Optuna or reads a private attribute of its objects,
but optuna_sampling.py for samplers and pruners. tests/storage/test_optuna_internals.py and
test_optuna_sampling.py say what each part is relied on for, and fail first when one of them changes. The
private parts of optuna-dashboard are in dashboard/internals.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeAlias

from optuna.artifacts import _upload
from optuna.distributions import BaseDistribution
from optuna.samplers import GridSampler
from optuna.storages import RDBStorage
from optuna.storages._cached_storage import _CachedStorage
from optuna.storages._rdb import models
from optuna.study import Study, StudyDirection
from optuna.study._frozen import FrozenStudy as FrozenStudy
from optuna.trial import FrozenTrial, Trial
from sqlalchemy import orm

from mnist_tune.storage.engine import utc

# Optuna's tables, for statements in SQL. The queue needs one statement that includes its condition; Optuna's
# own methods read, decide, and write in several transactions.

TABLES = models.BaseModel.metadata
"""All of Optuna's tables."""
VERSIONS = models.VersionInfoModel.__table__
"""The version of the schema, and of the Optuna that made it."""
SCHEMA_VERSION: int = models.SCHEMA_VERSION
"""The version of the schema that this Optuna makes."""
ALEMBIC_FOLDER = Path(models.__file__).parent / "alembic"
"""Optuna's own migrations; we run them, since Optuna does not make a schema in one transaction."""

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
"""Turns a final value into its two columns: infinities and nan are stored by name."""
stored_intermediate_value = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr
"""Turns a reported value into its two columns: nan and infinities are stored by name."""

ARTIFACTS_ATTR_PREFIX: str = _upload.ARTIFACTS_ATTR_PREFIX
"""The prefix of the system attributes that list the files of a study or of a trial."""


class ReadableStorage(RDBStorage):
    """Optuna's storage with public names for some of its private readers, and with times in UTC.

    Optuna's public readers take one trial or all of them, each in a transaction of its own.
    """

    @staticmethod
    def _fill_storage_url_template(template: str) -> str:
        # Stock calls str.format here, which fails on a password with braces, and prints it.
        return template

    def trial_in(self, session: orm.Session, trial_id: int) -> FrozenTrial:
        """A trial as Optuna reads it, in the caller's transaction. Damaged rows can raise any exception."""
        return self._build_frozen_trial_from_trial_model(session.get_one(models.TrialModel, trial_id))

    def trials_among(self, study_id: int, trial_ids: set[int], above: int) -> list[FrozenTrial]:
        """The trials of a study with these ids or with an id greater than `above`, in a few statements."""
        return self._get_trials(study_id, None, trial_ids, above)

    def writing_a_parameter(self, _trial_id: int) -> AbstractContextManager[Any]:
        """The context in which stock writes a parameter; a subclass may check something in it."""
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
        # Stock joins the session that the thread has open, and commits it.
        with self.writing_a_parameter(trial_id):
            super()._set_trial_param(
                trial_id, param_name, param_value_internal, distribution, previous_distribution
            )


class _InUtc:
    """The row of a trial for Optuna's reader, with its times in UTC.

    Stock turns them into local times without a zone, which are ambiguous in the hour that autumn repeats.
    """

    def __init__(self, row: Any) -> None:
        self._row = row
        self.datetime_start = utc(row._datetime_start_utc)
        self.datetime_complete = utc(row._datetime_complete_utc)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._row, name)


CachedStorage: TypeAlias = _CachedStorage
"""Optuna's cache of trials, which optuna-dashboard puts over any storage that is not such a cache."""


def frozen_study(
    study_id: int, name: str, directions: list[StudyDirection], user: dict[str, Any], system: dict[str, Any]
) -> FrozenStudy:
    """A study as Optuna's storages list it. They read all studies at once, and fail if one is damaged."""
    return FrozenStudy(name, None, user, system, study_id, directions=directions)


def study_id_of(study: FrozenStudy) -> int:
    """The id of a study's row; an earlier study may have had the same name."""
    return study._study_id


def trial_id_of(trial: FrozenTrial) -> int:
    """The id of a trial's row, which our SQL statements use."""
    return trial._trial_id


def check_consistency(trial: FrozenTrial) -> None:
    """Raise ValueError if a trial's times, values and parameters do not fit its state."""
    trial._validate()


def contains(distribution: BaseDistribution, internal: float) -> bool:
    """Whether a distribution holds a value, given as it is stored: a number, or for a category its index."""
    return distribution._contains(internal)


def grid_points(grid: GridSampler) -> list[dict[str, Any]]:
    """All points of a grid in the order of their grid ids, so that stock GridSampler finds them visited."""
    return [dict(zip(grid._param_names, point, strict=True)) for point in grid._all_grids]


def use_storage(study: Study, storage: Any) -> None:
    """Have a study use this storage; the cache of `load_study` reads each waiting cell anew for a trial."""
    study._storage = storage


@contextmanager
def reading_through(study: Study, storage: Any) -> Iterator[None]:
    """A block in which a study reads and writes through another storage."""
    kept = study._storage
    use_storage(study, storage)
    try:
        yield
    finally:
        use_storage(study, kept)


def begun_trial(study: Study, trial_id: int, seen: list[FrozenTrial]) -> Trial:
    """A running trial whose parameters a sampler is to draw; the sampler sees the trials in `seen`.

    Stock `ask` gives such a trial too, but claims a waiting one for it, or makes a new one.
    """
    study._thread_local.cached_all_trials = seen
    return Trial(study, trial_id)
