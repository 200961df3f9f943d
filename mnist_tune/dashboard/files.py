"""What optuna-dashboard does differently with the files of studies and trials, as plugins like the others."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from bottle import Route, response
from optuna.artifacts.exceptions import ArtifactNotFound

from mnist_tune.dashboard.plugins import STUDY_FILE, TRIAL_FILE, Plugin, View, is_ours
from mnist_tune.dashboard.snapshots import SnapshotStorage
from mnist_tune.files.locations import Folders
from mnist_tune.storage.optuna_internals import ARTIFACTS_ATTR_PREFIX
from mnist_tune.study.delete import may_remove


class OwnFiles(Plugin):
    """Removes a file only of the study or trial it was added to: all lie in one folder, under their ids.

    One that another study has too, as a copy does that stock Optuna has made, is only listed here no more.
    """

    def __init__(self, storage: SnapshotStorage, folders: Folders) -> None:
        self._storage = storage
        self._folders = folders

    def apply(self, view: View, route: Route) -> View:
        if route.method != "DELETE" or route.rule not in (STUDY_FILE, TRIAL_FILE):
            return view

        def remove(study_id: int, artifact_id: str, **of_trial: int) -> Any:
            if not self._is_its_own(study_id, artifact_id, **of_trial):
                response.status = HTTPStatus.FORBIDDEN.value
                return {"reason": "this file belongs to another study or trial, or has been removed"}
            storage, folder = self._storage.guarded, self._folders.artifacts
            if is_ours(self._storage, study_id) and not may_remove(storage, study_id, artifact_id, folder):
                self._storage.set_study_system_attr(study_id, f"{ARTIFACTS_ATTR_PREFIX}{artifact_id}", "null")
                return {}
            return view(study_id=study_id, artifact_id=artifact_id, **of_trial)

        return remove

    def _is_its_own(self, study_id: int, artifact_id: str, trial_id: int | None = None) -> bool:
        try:
            attributes = (
                self._storage.get_study_system_attrs(study_id)
                if trial_id is None
                else self._storage.get_trial_system_attrs(trial_id)
            )
        except KeyError:
            return False
        # What is removed stays as "null".
        return attributes.get(f"{ARTIFACTS_ATTR_PREFIX}{artifact_id}") not in (None, "null")


class FilesNotHere(Plugin):
    """Says of a file that is not here, or is no file, just that."""

    def apply(self, view: View, route: Route) -> View:
        if not route.rule.startswith("/artifacts/"):
            return view

        def show(**arguments: Any) -> Any:
            try:
                return view(**arguments)
            except (ArtifactNotFound, OSError, ValueError):
                response.status = HTTPStatus.NOT_FOUND.value
                return "this file is not in the folder of artifacts on this machine"

        return show
