"""Plugins that change how optuna-dashboard handles the files of studies and trials."""

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
    """Removes a file only from the study or trial to which it was added.

    All files are in one folder under their ids. A file that another study has too, such as a copy by stock
    Optuna, is no longer listed, but stays in the folder.
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
        # A removed file stays listed as "null".
        return attributes.get(f"{ARTIFACTS_ATTR_PREFIX}{artifact_id}") not in (None, "null")


class FilesNotHere(Plugin):
    """Answers 404 for a file that is not on this machine, or is not a file."""

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
