"""The storage for the dashboard, which reads only what may have changed.

The page asks every few seconds, and stock reads every trial for each answer, which takes seconds for
thousands. Here one query of ids, states and times tells which trials are new, run, or have changed.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Collection, Container, Iterable
from typing import Any

from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import select

from mnist_tune.queue.trial_rows import delete_study_rows
from mnist_tune.records.columns import raw
from mnist_tune.records.trained import FINISHED, TrainedTrials, trained_in
from mnist_tune.storage.guarded import STORAGE_ERRORS, GuardedStorage
from mnist_tune.storage.keys import CELL, SPEC, UID
from mnist_tune.storage.optuna_internals import (
    CachedStorage,
    FrozenStudy,
    frozen_study,
    studies,
    study_id_of,
    trial_id_of,
    trials,
)

READING_SHARE = 0.1
"""The most time for reading, as a share: pages that ask often must not slow the workers."""


class SnapshotStorage(CachedStorage):
    """A storage that keeps the trials that it has read. Safe in threads.

    It replaces Optuna's own cache, which reads waiting trials anew each time. That cache also takes a study
    for an earlier one with the same id, and SQLite reuses the ids of deleted studies.
    """

    def __init__(self, guarded: GuardedStorage) -> None:
        super().__init__(guarded)
        self.guarded = guarded
        self.on_replaced: Callable[[], None] = lambda: None
        """Called when a study is gone, or when another has its id."""
        self._identities: dict[int, str] = {}
        self._known: dict[int, dict[int, FrozenTrial]] = {}
        """The trials of each study, by study id and trial id."""
        self._rows: dict[int, dict[int, tuple[Any, ...]]] = {}
        """The rows of these trials at the last reading, by study id and trial id."""
        self._trained: dict[int, TrainedTrials] = {}
        self._reading: dict[int, threading.Lock] = {}
        self._next_reading: dict[int, float] = {}

    def get_all_studies(self) -> list[FrozenStudy]:
        found = self._readable_studies()
        now = {study_id_of(study): _identity(study) for study in found}
        replaced = [
            study_id for study_id, identity in self._identities.items() if now.get(study_id) != identity
        ]
        self._identities = now
        if replaced:
            self._forget(*replaced)
        return found

    def _readable_studies(self) -> list[FrozenStudy]:
        try:
            return self.guarded.get_all_studies()
        except STORAGE_ERRORS:
            raise
        except Exception:  # damaged data can raise any exception
            with self.guarded.transaction() as session:
                ids = list(session.execute(select(studies.c.study_id)).scalars())
            return [study for study_id in ids if (study := self._readable_study(study_id)) is not None]

    def _readable_study(self, study_id: int) -> FrozenStudy | None:
        stored = self.guarded
        try:
            return frozen_study(
                study_id,
                stored.get_study_name_from_id(study_id),
                stored.get_study_directions(study_id),
                stored.get_study_user_attrs(study_id),
                stored.get_study_system_attrs(study_id),
            )
        except STORAGE_ERRORS:
            raise
        except Exception:
            return None

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        # Two pages that ask at the same time read once, and a large study is not read all the time.
        with self._reading.setdefault(study_id, threading.Lock()):
            began = time.monotonic()
            if study_id not in self._known or began >= self._next_reading.get(study_id, began):
                self._known[study_id] = self._read(study_id)
                took = time.monotonic() - began
                self._next_reading[study_id] = time.monotonic() + took / READING_SHARE
            known, trained = self._known[study_id].values(), self._trained[study_id]
        wanted = [trial for trial in _as_shown(known, trained) if states is None or trial.state in states]
        wanted.sort(key=lambda trial: trial.number)
        return copy.deepcopy(wanted) if deepcopy else wanted

    def last_seen(self, study_id: int) -> dict[int, FrozenTrial]:
        """The study's trials, by id, as they were when last read."""
        return self._known.get(study_id, {})

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        return BaseStorage.get_best_trial(self, study_id)  # from the trials that are kept

    def get_study_name_from_id(self, study_id: int) -> str:
        return self.guarded.get_study_name_from_id(study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self.guarded.get_study_directions(study_id)

    def delete_study(self, study_id: int) -> None:
        self.guarded.get_study_name_from_id(study_id)  # KeyError if there is none
        delete_study_rows(self.guarded, study_id)
        self._forget(study_id)

    def _read(self, study_id: int) -> dict[int, FrozenTrial]:
        known = self._known.get(study_id, {})
        columns = raw(trials, "trial_id", "state", "datetime_start", "datetime_complete")
        in_study = select(*columns).where(trials.c.study_id == study_id)
        with self.guarded.transaction() as session:
            now = {row.trial_id: tuple(row)[1:] for row in session.execute(in_study)}
            self._trained[study_id] = trained_in(session, study_id)
        before = self._rows.get(study_id, {})
        changed = {
            trial_id
            for trial_id, trial in known.items()
            if trial.state is TrialState.RUNNING
            # The times tell it from a deleted study's trial with the same id.
            or now.get(trial_id) != before.get(trial_id)
        }
        changed &= now.keys()
        read = self.guarded.readable_trials(study_id, changed, max(known, default=-1))
        self._rows[study_id] = now
        kept = {trial_id: trial for trial_id, trial in known.items() if trial_id in now}
        return kept | {trial_id_of(trial): trial for trial in read}

    def _forget(self, *study_ids: int) -> None:
        for study_id in study_ids:
            with self._reading.setdefault(study_id, threading.Lock()):  # what is being read now is old too
                self._known.pop(study_id, None)
                self._rows.pop(study_id, None)
                self._trained.pop(study_id, None)
                self._next_reading.pop(study_id, None)
        self.on_replaced()


def _identity(study: FrozenStudy) -> str:
    """What tells a study from others of its name or id, and from itself before it grew.

    Growing changes what trials that have ended tell of the search.
    """
    spec = study.user_attrs.get(SPEC)
    search = spec.get("search") if isinstance(spec, dict) else None
    revisions = search.get("revisions") if isinstance(search, dict) else None
    return f"{study.user_attrs.get(UID, study.study_name)} {revisions}"


def _as_shown(trials: Collection[FrozenTrial], trained: TrainedTrials) -> Iterable[FrozenTrial]:
    """The trials of a study. In ours, finished trials that no worker trained are shown as failed."""
    if not any(CELL in trial.system_attrs for trial in trials):
        return trials
    return (
        _failed(trial) if trial.state in FINISHED and not _is_ours(trial, trained) else trial
        for trial in trials
    )


def _is_ours(trial: FrozenTrial, trained: TrainedTrials) -> bool:
    return CELL in trial.system_attrs and trained.was_trained(trial)


def _failed(trial: FrozenTrial) -> FrozenTrial:
    failed = copy.copy(trial)
    failed.state, failed.values = TrialState.FAIL, None
    return failed
