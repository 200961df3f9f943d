"""Plugins that change how optuna-dashboard's Bottle application handles our studies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from bottle import Route, request, response
from optuna.trial import FrozenTrial

from mnist_tune.dashboard.notes import imported_note, study_note, trial_note
from mnist_tune.dashboard.snapshots import SnapshotStorage
from mnist_tune.errors import Damaged, MnistTuneError
from mnist_tune.files.locations import Folders
from mnist_tune.records.epochs import last_epochs
from mnist_tune.records.imported import is_imported
from mnist_tune.spec.stored import as_stored_spec
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.keys import CELL, SPEC
from mnist_tune.storage.optuna_internals import trial_id_of
from mnist_tune.study.delete import delete_study_and_files
from mnist_tune.study.store import open_study

STUDY = "/api/studies/<study_id:int>"
STUDY_FILES = "/api/artifacts/<study_id:int>"
STUDY_FILE = f"{STUDY_FILES}/<artifact_id:re:[0-9a-fA-F-]+>"
TRIAL_FILE = f"{STUDY_FILES}/<trial_id:int>/<artifact_id:re:[0-9a-fA-F-]+>"

View = Callable[..., Any]


class Plugin:
    """The base of plugins, in the second version of Bottle's protocol."""

    api = 2

    @property
    def name(self) -> str:
        return type(self).__name__


class Bodies(Plugin):
    """Gives every answer a body, since the page of optuna-dashboard 0.21 takes an empty one for a failure."""

    def apply(self, view: View, route: Route) -> View:
        def with_body(**arguments: Any) -> Any:
            answer = view(**arguments)
            if response.status_code == HTTPStatus.NO_CONTENT:
                response.status = HTTPStatus.OK.value
            return answer

        return view if route.method == "GET" else with_body


class TrialNotes(Plugin):
    """Adds notes to trials and studies without a person's note: in the answer, never in the database."""

    def __init__(self, storage: SnapshotStorage) -> None:
        self._storage = storage
        self._written: dict[int, tuple[FrozenTrial, str]] = {}
        """By trial id: the trial that a note is about, and the note."""

    def forget(self) -> None:
        """Forget all notes, since deleted trials' ids may be used again."""
        self._written.clear()

    def apply(self, view: View, route: Route) -> View:
        if (route.method, route.rule) != ("GET", STUDY):
            return view

        def with_notes(study_id: int) -> Any:
            answer = view(study_id=study_id)
            if isinstance(answer, dict) and "trials" in answer:
                self._add(study_id, answer)
            return answer

        return with_notes

    def _add(self, study_id: int, answer: dict[str, Any]) -> None:
        try:
            spec = as_stored_spec(self._storage.get_study_user_attrs(study_id)[SPEC])
        except (Damaged, KeyError):  # damaged, not ours, or deleted meanwhile: the page shows the rest
            return
        _fill(answer["note"], study_note(spec))
        trials = self._storage.last_seen(study_id)
        attempts = _attempts(trials)
        last: dict[int, tuple[Any, Any]] = {}
        if any(self._written.get(trial_id, (None, ""))[0] is not trials[trial_id] for trial_id in attempts):
            with self._storage.guarded.transaction() as session:
                last = last_epochs(session, study_id)
        for shown in (*answer["trials"], *answer["best_trials"]):
            if (trial_id := shown["trial_id"]) in attempts:
                note = self._note(trials[trial_id], attempts[trial_id], spec, last.get(trial_id))
                _fill(shown["note"], note)
            elif trial_id in trials and is_imported(trials[trial_id]):
                with suppress(Damaged):
                    _fill(shown["note"], imported_note(trials[trial_id], spec))

    def _note(self, trial: FrozenTrial, attempt: int, spec: Spec, last: tuple[Any, Any] | None) -> str:
        about, note = self._written.get(trial_id_of(trial), (None, ""))
        if about is not trial:  # the trial was read again since
            try:
                note = trial_note(trial, attempt, spec, last)
            except (KeyError, TypeError, ValueError, IndexError):  # damage hides one trial only
                note = f"What is stored of trial {trial.number} is damaged; `mnist-tune verify` says how."
            self._written[trial_id_of(trial)] = trial, note
        return note


def _fill(note: dict[str, Any], body: str) -> None:
    # Version 0 means that nobody has saved a note: a person's first one becomes version 1 and replaces ours.
    if note["version"] == 0:
        note["body"] = body


def _attempts(trials: dict[int, FrozenTrial]) -> dict[int, int]:
    """By trial id, the number of each trial of ours among the attempts at its cell, counted from 1."""
    tries: Counter[int] = Counter()
    attempts = {}
    for trial in sorted(trials.values(), key=lambda trial: trial.number):
        if (cell := trial.system_attrs.get(CELL)) is not None:
            tries[cell] += 1
            attempts[trial_id_of(trial)] = tries[cell]
    return attempts


class Deletion(Plugin):
    """Deletes a study of ours as `delete-study` does, also while workers write to it."""

    def __init__(self, storage: SnapshotStorage, folders: Folders) -> None:
        self._storage = storage
        self._folders = folders

    def apply(self, view: View, route: Route) -> View:
        if (route.method, route.rule) != ("DELETE", STUDY):
            return view

        def delete(study_id: int) -> Any:
            if not is_ours(self._storage, study_id):
                return view(study_id=study_id)
            files = (request.json or {}).get("remove_associated_artifacts", True)
            try:
                self._delete(study_id, files)
            except MnistTuneError as error:
                response.status = HTTPStatus.CONFLICT.value
                return {"reason": str(error)}
            return {}

        return delete

    def _delete(self, study_id: int, files: bool) -> None:
        if files:
            study = open_study(self._storage.guarded, self._storage.get_study_name_from_id(study_id))
            deleted = delete_study_and_files(study, self._folders)
            if deleted.problems:
                raise MnistTuneError(f"deleted, but left: {'; '.join(deleted.problems)}")
        else:
            self._storage.delete_study(study_id)


class Refusals(Plugin):
    """Refuses changes to the trials of our studies, which belong to their workers.

    The allowed changes are listed, so that new features of a later dashboard are refused.
    """

    ALLOWED = (
        ("PUT", f"{STUDY}/note"),
        ("PUT", f"{STUDY}/<trial_id:int>/note"),
        ("DELETE", STUDY),
        ("POST", STUDY_FILES),
        ("DELETE", STUDY_FILE),
    )

    def __init__(self, storage: SnapshotStorage) -> None:
        self._storage = storage

    def apply(self, view: View, route: Route) -> View:
        if route.method == "GET" or (route.method, route.rule) in self.ALLOWED:
            return view

        def refuse(**arguments: Any) -> Any:
            if not self._is_about_ours(**arguments):
                return view(**arguments)
            response.status = HTTPStatus.FORBIDDEN.value
            return {"reason": "trials and names of this study are left to mnist-tune and its workers"}

        return refuse

    def _is_about_ours(self, study_id: int | None = None, trial_id: int | None = None, **_: Any) -> bool:
        if study_id is not None and is_ours(self._storage, study_id):
            return True
        try:
            return trial_id is not None and CELL in self._storage.get_trial_system_attrs(trial_id)
        except KeyError:
            return False


def is_ours(storage: SnapshotStorage, study_id: int) -> bool:
    """Whether this program made the study."""
    try:
        return SPEC in storage.get_study_user_attrs(study_id)
    except KeyError:
        return False
