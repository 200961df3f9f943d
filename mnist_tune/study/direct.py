"""A study as a worker sees it whose machine reaches the study's storage and its folders itself."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from optuna.exceptions import UpdateFinishedTrialError

from mnist_tune.contract.claim import Claim, Standing
from mnist_tune.contract.study import (
    Decision,
    LeaseLost,
    Orders,
    StorageAway,
    StorageFailed,
    WorkerFacts,
)
from mnist_tune.failures import Failure
from mnist_tune.files import stored_names
from mnist_tune.files.checkpoints import Checkpoint, CheckpointFolder, sweep
from mnist_tune.files.locations import Folders, checkpoints_of
from mnist_tune.files.stored_names import inside
from mnist_tune.files.writable import check_folders
from mnist_tune.queue.worker_registry import Registration
from mnist_tune.search.advisor import Guide
from mnist_tune.search.own_samplers import check_installed
from mnist_tune.spec.sections import LeaseSettings
from mnist_tune.spec.stopped import Stopped
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.artifacts import ArtifactFolder, artifact_of, pointer_to, upload
from mnist_tune.storage.database_errors import in_one_line
from mnist_tune.storage.guarded import STORAGE_ERRORS
from mnist_tune.storage.notes import Notes
from mnist_tune.storage.retrying import why_it_may_pass
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.settle import KnowsLevels, Settling, foresee, known_now, settle

P = ParamSpec("P")
T = TypeVar("T")


def told_to_workers(call: Callable[P, T]) -> Callable[P, T]:
    """Let a call fail in the words of the contract."""

    @functools.wraps(call)
    def told(*arguments: P.args, **named: P.kwargs) -> T:
        try:
            return call(*arguments, **named)
        except UpdateFinishedTrialError:
            raise LeaseLost from None
        except Exception as error:
            if (why := why_it_may_pass(error)) is not None:
                raise StorageAway(why) from error
            if isinstance(error, STORAGE_ERRORS):
                raise StorageFailed(in_one_line(error) or f"the storage failed: {error}") from error
            raise

    return told


class DirectStudy:
    """See `contract.study.StudyForWorkers`."""

    def __init__(self, study: OpenStudy, folders: Folders, levels: KnowsLevels = known_now) -> None:
        """`levels` says whether those of the study's race over seeds are known."""
        self._study = study
        self._folders = folders
        self._levels = levels
        self._queue = study.queue()
        self._states: CheckpointFolder = checkpoints_of(study.uid, folders.checkpoints)
        self._artifacts = ArtifactFolder(folders.artifacts.path)
        self._known_guide: Guide | None = None

    @property
    def name(self) -> str:
        return self._study.name

    @property
    def spec(self) -> Spec:
        return self._study.spec

    @property
    def prunes(self) -> bool:
        return self.spec.pruner is not None

    @property
    def state_folder(self) -> Path:
        return self._states.path

    @property
    def is_time_to_look(self) -> bool:
        """Whether `put_back_stale` would look at heartbeats now."""
        return self._queue.is_time_to_look

    def check_folders(self) -> list[str]:
        return check_folders(self._folders.checkpoints.path, self._folders.artifacts.path)

    @told_to_workers
    def standing(self) -> Standing:
        # Where all cells have ended, the next round of a race over seeds may be due.
        while (standing := self._queue.standing()) is Standing.FINISHED:
            match self.settle():
                case Settling.JUDGEMENT:
                    return Standing.OPEN
                case Settling.NOTHING:
                    break
        return standing

    @told_to_workers
    def prepare(self) -> None:
        """Have Optuna open the study, which takes longer than a call may.

        A study that it cannot open is refused.
        """
        check_installed(self.spec)
        self._guide()
        foresee(self._study, self._levels)

    @told_to_workers
    def stopped(self) -> Stopped | None:
        return self._queue.stopped()

    @told_to_workers
    def register(self, worker: WorkerFacts) -> LeaseSettings:
        lease = self._registration(worker).register()
        if lease is not None and lease != self.spec.lease:  # changed while this worker was starting
            self._study = self._study.with_lease(lease)
            self._queue = self._queue.with_lease(lease)
        check_installed(self.spec)
        self._guide()  # a study that Optuna cannot open is refused before a claim
        return self.spec.lease

    @told_to_workers
    def beat(self, worker: WorkerFacts, trial: int | None, units_per_second: float | None) -> Orders:
        return self._registration(worker).beat(trial, units_per_second)

    @told_to_workers
    def leave(self, worker: WorkerFacts, reason: str) -> None:
        self._registration(worker).leave(reason)

    @told_to_workers
    def put_back_stale(self) -> dict[int, str]:
        return self._queue.put_back_stale()

    @told_to_workers
    def claim(self, worker: WorkerFacts, token: str) -> Claim | Standing:
        check_installed(self.spec)  # a head may have been started anew where it is not installed
        if (claim := self._queue.claim(worker.name, token)) is not None:
            return claim
        standing = self._queue.standing()
        if standing is Standing.FINISHED and self.settle() is not Settling.NOTHING:
            return self._queue.claim(worker.name, token) or self.standing()
        return standing

    @told_to_workers
    def settle(self) -> Settling:
        """See `study.settle`; `claim` and `standing` do so too."""
        return settle(self._study, self._levels)

    @told_to_workers
    def parameters(self, claim: Claim) -> dict[str, Any]:
        self._study.storage.keep_claim(claim.trial_id, claim.token)  # Optuna's samplers write what they draw
        spec, guide = self._queue.spec, self._guide()
        # An earlier call may have drawn some, whose answer was lost; or the study has got an axis meanwhile.
        if not spec.search.axes.keys() <= claim.parameters.keys():
            claim = replace(claim, parameters=self._queue.parameters(claim))
        guide.take_up(spec)
        return guide.parameters(claim)

    @told_to_workers
    def renew(self, claim: Claim) -> None:
        self._queue.beat(claim)

    @told_to_workers
    def record(self, claim: Claim, notes: Notes) -> None:
        self._queue.record(claim, **notes)

    @told_to_workers
    def decide(self, claim: Claim) -> Decision:
        try:
            return self._guide().decide(claim.trial_id)
        except KeyError:  # Optuna's for a trial that is not there
            raise LeaseLost from None

    @told_to_workers
    def complete(self, claim: Claim, value: float, notes: Notes) -> None:
        self._queue.complete(claim, value, **notes)

    @told_to_workers
    def prune(self, claim: Claim, value: float, notes: Notes) -> None:
        self._queue.prune(claim, value, **notes)

    @told_to_workers
    def give_back(self, claim: Claim, failure: Failure, system: Mapping[str, Any]) -> None:
        if not self._queue.give_back(claim, failure, system):
            raise LeaseLost

    def fetch_state(self, claim: Claim) -> None:
        pass  # the training process reads the study's own folder

    def keep_state(self, claim: Claim, checkpoint: Checkpoint) -> None:
        pass

    def keep_files(self, claim: Claim, files: Mapping[str, bytes]) -> dict[str, str]:
        return upload(self._artifacts, claim.token, files)

    def delete_state(self, checkpoint: Checkpoint) -> None:
        self._states.delete(checkpoint.key)

    @told_to_workers
    def sweep(self, *, is_over: bool = False) -> None:
        names = self._states.keys()  # listed first, so that states saved from now on are not deleted
        sweep(self._states, names, *self._study.checkpoints_in_use())
        self._artifacts.clear_up()
        if is_over:
            self._states.remove_if_empty()

    def state_path(self, key: str) -> Path:
        """Where the state with this key lies. Raises ValueError for what is no key of a state."""
        return inside(self.state_folder, stored_names.checkpoint_key(key))

    def file_path(self, claim: Claim, name: str) -> tuple[Path, dict[str, str]]:
        """Where a final file of an attempt lies, and the attribute that points to it.

        Raises ValueError for what is no name of a file.
        """
        artifact = artifact_of(claim.token, stored_names.file_name(name))
        return self._artifacts.path(artifact.artifact_id), pointer_to(artifact)

    def _registration(self, worker: WorkerFacts) -> Registration:
        return Registration(self._study.storage, self._study.study_id, worker)

    def _guide(self) -> Guide:
        if self._known_guide is None:
            self._study.storage.refuse_group()
            self._known_guide = self._study.guide()
        return self._known_guide
