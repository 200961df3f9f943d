"""A study that is open: what can be asked of it, by whoever works on it or looks at it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import optuna
from optuna.study import Study

from mnist_tune.errors import MnistTuneError
from mnist_tune.files import stored_names
from mnist_tune.queue.cells import checkpoints_in_use
from mnist_tune.queue.queue import Queue
from mnist_tune.search.advisor import Guide
from mnist_tune.search.pruners import pruner
from mnist_tune.search.samplers import sampler
from mnist_tune.spec.sections import LeaseSettings
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.storage.optuna_internals import use_storage
from mnist_tune.storage.statements import studies_with


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
        """Tells it from every other study, also from a copy of it: the name of its folder of checkpoints.

        Raises:
            MnistTuneError: what is stored is no uid.
        """
        return _checked_uid(self.name, self.stored_uid)

    def with_lease(self, lease: LeaseSettings) -> OpenStudy:
        """The study as one that goes by this lease, which it was given since it was opened."""
        self.storage.deadline.shorten(lease.grace_period)
        return replace(self, spec=self.spec.model_copy(update={"lease": lease}))

    def queue(self) -> Queue:
        """The study's cells, for a worker."""
        return Queue(self.storage, self.study_id, self.spec)

    def optuna_study(self) -> Study:
        """Optuna's own object over the study."""
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
        """The keys of the checkpoints that unfinished trials point to, and the ids of those that run.

        Those of a copy too that stock Optuna has made of it in this storage: it has the same uid.
        """
        with self.storage.transaction() as session:
            return checkpoints_in_use(session, studies_with(session, self.uid) or [self.study_id])

    def guide(self) -> Guide:
        """The study's sampler and pruner, for a worker."""
        return Guide(self.optuna_study(), self.storage, self.study_id, self.spec)


@dataclass(frozen=True)
class UnreadableStudy:
    """A study of ours whose spec cannot be read. It can be deleted, and that is all."""

    storage: GuardedStorage
    study_id: int
    name: str
    stored_uid: object

    @property
    def uid(self) -> str:
        """Its uid. Raises MnistTuneError, as that of an open study does."""
        return _checked_uid(self.name, self.stored_uid)


def _checked_uid(name: str, stored: object) -> str:
    if stored is None:  # version 0.1 knew none; a name can be a folder's as well
        return name
    try:
        return stored_names.study_uid(stored)
    except ValueError as error:
        raise MnistTuneError(
            f"study '{name}' is damaged: {error}; "
            f"make a sound one of it with 'mnist-tune copy-study {name} --to URL'"
        ) from None
