"""Studies in a storage: make one with all its cells, open, list and delete."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

import optuna
from optuna.storages._rdb import models
from optuna.study import Study, StudyDirection
from optuna.trial import Trial, TrialState
from sqlalchemy import orm, select

from mnist_tune import __version__
from mnist_tune.attributes import METRIC, SPEC, VERSION
from mnist_tune.cells import delete_rows, insert_waiting
from mnist_tune.database import lock
from mnist_tune.documents import did_you_mean, validate
from mnist_tune.errors import UserError
from mnist_tune.queue import Queue
from mnist_tune.search import sampler, waiting_cells
from mnist_tune.spec import Spec, differences
from mnist_tune.storage import GuardedStorage

INSTRUCTIVE = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
"""The trials a sampler learns from; of the running ones, where not to look too."""


@dataclass(frozen=True)
class OpenStudy:
    """A study of ours in a storage."""

    storage: GuardedStorage
    study_id: int
    spec: Spec

    @property
    def name(self) -> str:
        return self.spec.study.name

    def queue(self) -> Queue:
        """The study's cells, for a worker."""
        return Queue(self.storage, self.study_id, self.spec.retry, self.spec.lease.grace_period)

    def optuna_study(self) -> Study:
        """Optuna's own object over the study."""
        study = optuna.load_study(study_name=self.name, storage=self.storage, sampler=sampler(self.spec, 0))
        # Without Optuna's cache, which would read every waiting cell anew for each trial.
        study._storage = self.storage
        return study

    def optuna_trial(self, study: Study, trial_id: int, number: int) -> Trial:
        """A claimed trial as Optuna's own object; `study` is this study's, and is set up to sample for it."""
        if self.spec.search.grid is None:
            study.sampler = sampler(self.spec, number)
            # As `ask` does: the sampler sees the study as it is now. Waiting tickets teach it nothing.
            study._thread_local.cached_all_trials = self.storage.get_all_trials(
                self.study_id, deepcopy=False, states=INSTRUCTIVE
            )
        return Trial(study, trial_id)


def create_study(storage: GuardedStorage, spec: Spec) -> bool:
    """Write the study, its attributes and all its cells in one transaction.

    Returns False if the very same study was there already.

    Raises:
        UserError: another study has this name.
    """
    with storage.transaction() as session:
        lock(session.connection())
        stored = _find(session, spec.study.name)
        if stored is None:
            _insert_study(session, spec)
            return True
    if stored.spec is None:
        raise UserError(f"{_foreign(spec.study.name)}; give this one another name with --name")
    if differing := differences(stored.spec, spec):
        raise UserError(
            f"study '{spec.study.name}' exists with another spec: {'; '.join(differing)}; "
            "give this one another name with --name"
        )
    return False


def open_study(storage: GuardedStorage, name: str) -> OpenStudy:
    """Find a study by its name.

    Raises:
        UserError: no such study, or one that this program did not make.
    """
    with storage.transaction() as session:
        stored = _find(session, name)
    if stored is None:
        raise UserError(f"no study '{name}' in this storage; {_remedy(name, study_names(storage))}")
    if stored.spec is None:
        raise UserError(_foreign(name))
    return OpenStudy(storage, stored.study_id, stored.spec)


def study_names(storage: GuardedStorage) -> list[str]:
    """The names of the studies this program made, oldest first."""
    with storage.transaction() as session:
        ours = (
            select(models.StudyModel.study_name)
            .join(models.StudyUserAttributeModel)
            .where(models.StudyUserAttributeModel.key == SPEC)
            .order_by(models.StudyModel.study_id)
        )
        return list(session.execute(ours).scalars())


def delete_study(study: OpenStudy) -> None:
    """Remove a study with all its trials, also while workers write to it: they find their leases lost."""
    # Optuna's own loads everything first, and silently deletes nothing if a row is added meanwhile.
    with study.storage.transaction() as session:
        delete_rows(session, study.study_id)


class _Stored(NamedTuple):
    study_id: int
    spec: Spec | None  # None: a study that somebody else made


def _find(session: orm.Session, name: str) -> _Stored | None:
    attributes = models.StudyUserAttributeModel
    is_spec = (attributes.study_id == models.StudyModel.study_id) & (attributes.key == SPEC)
    row = session.execute(
        select(models.StudyModel.study_id, attributes.value_json)
        .outerjoin(attributes, is_spec)
        .where(models.StudyModel.study_name == name)
    ).one_or_none()
    if row is None:
        return None
    if row.value_json is None:
        return _Stored(row.study_id, None)
    return _Stored(
        row.study_id, validate(Spec, json.loads(row.value_json), f"the stored spec of study '{name}'")
    )


def _foreign(name: str) -> str:
    return f"study '{name}' was not made by mnist-tune"


def _insert_study(session: orm.Session, spec: Spec) -> None:
    user_attributes = {SPEC: spec.document(), VERSION: __version__}
    # Optuna's own key: dashboards and plots label the objective with it.
    system_attributes = {"study:metric_names": [METRIC]}
    study = models.StudyModel(
        study_name=spec.study.name,
        directions=[models.StudyDirectionModel(objective=0, direction=StudyDirection.MAXIMIZE)],
        user_attributes=[
            models.StudyUserAttributeModel(key=key, value_json=json.dumps(value))
            for key, value in user_attributes.items()
        ],
        system_attributes=[
            models.StudySystemAttributeModel(key=key, value_json=json.dumps(value))
            for key, value in system_attributes.items()
        ],
    )
    session.add(study)
    session.flush()
    study_id: Any = study.study_id
    insert_waiting(session, study_id, waiting_cells(spec))


def _remedy(name: str, names: list[str]) -> str:
    return did_you_mean(name, names) if names else "it has none; make one with 'mnist-tune create-study SPEC'"
