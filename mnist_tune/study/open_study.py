"""An open study: what can be asked of it by workers and by those who look at it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import optuna
from optuna.study import Study
from sqlalchemy import orm
from sqlalchemy.engine import Connection

from mnist_tune.errors import MnistTuneError
from mnist_tune.files import stored_names
from mnist_tune.queue.cells import checkpoints_in_use
from mnist_tune.queue.queue import Queue
from mnist_tune.records.stored_spec import spec_now
from mnist_tune.search.advisor import Guide
from mnist_tune.search.pruners import pruner
from mnist_tune.search.samplers import sampler
from mnist_tune.spec.sections import LeaseSettings
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.storage.optuna_internals import use_storage
from mnist_tune.storage.statements import studies_with
from mnist_tune.study.finished import take_over_within


@dataclass(frozen=True)
class OpenStudy:
    """A study of ours in a storage."""

    storage: GuardedStorage
    study_id: int
    spec: Spec
    stored_uid: object

    @property
    def name(self) -> str:
        return self.spec.study.name

    @property
    def uid(self) -> str:
        """The study's uid, which no other study has, not even a copy; it names the folder of checkpoints.

        Raises:
            MnistTuneError: what is stored is no uid.
        """
        return _checked_uid(self.name, self.stored_uid)

    def spec_in(self, rows: orm.Session | Connection) -> Spec:
        """The spec as it is in the caller's transaction: the study may have grown since it was opened."""
        return spec_now(rows, self.study_id, self.spec)

    def with_lease(self, lease: LeaseSettings) -> OpenStudy:
        """The study with another lease, which was set after it was opened."""
        self.storage.deadline.shorten(lease.grace_period)
        return replace(self, spec=self.spec.model_copy(update={"lease": lease}))

    def queue(self) -> Queue:
        """The study's cells, for a worker."""
        return Queue(self.storage, self.study_id, self.spec)

    def optuna_study(self) -> Study:
        """Optuna's own object for the study.

        Raises:
            MnistTuneError: the study is damaged.
        """
        try:
            study = optuna.load_study(
                study_name=self.name,
                storage=self.storage,
                sampler=sampler(self.spec, 0),
                pruner=pruner(self.spec),
            )
        except (LookupError, TypeError, ValueError) as error:
            raise MnistTuneError(f"study '{self.name}' is damaged: Optuna cannot open it: {error}") from None
        use_storage(study, self.storage)
        return study

    def checkpoints_in_use(self) -> tuple[set[str], set[int]]:
        """The keys of checkpoints that unfinished trials point to, and the ids of running trials.

        Copies that stock Optuna has made in this storage count too: they have the same uid.
        """
        with self.storage.transaction() as session:
            return checkpoints_in_use(session, studies_with(session, self.uid) or [self.study_id])

    def guide(self) -> Guide:
        """The study's sampler and pruner, for a worker."""
        return Guide(self.optuna_study(), self.storage, self.study_id, self.spec, take_over_within)


@dataclass(frozen=True)
class UnreadableStudy:
    """A study of ours whose spec cannot be read, so that it can only be deleted."""

    storage: GuardedStorage
    study_id: int
    name: str
    stored_uid: object

    @property
    def uid(self) -> str:
        """The study's uid. Raises MnistTuneError if what is stored is none."""
        return _checked_uid(self.name, self.stored_uid)


def _checked_uid(name: str, stored: object) -> str:
    if stored is None:  # version 0.1 stored no uid, and used the name for the folder
        return name
    try:
        return stored_names.study_uid(stored)
    except ValueError as error:
        raise MnistTuneError(
            f"study '{name}' is damaged: {error}; "
            f"make a sound one of it with 'mnist-tune copy-study {name} --to URL'"
        ) from None
