"""Files that people add to a study on the dashboard, and what becomes of them."""

from __future__ import annotations

import os
from pathlib import Path

import optuna
import pytest

from mnist_tune.dashboard.app import dashboard_app
from mnist_tune.errors import UserError
from mnist_tune.files.locations import Folder, Folders
from mnist_tune.storage.guarded import open_storage
from mnist_tune.study.delete import delete_study_and_files
from mnist_tune.study.open_study import OpenStudy
from tests.support.dashboard_client import Client
from tests.support.studies import folders, new_study
from tests.support.study_files import files_beside_database, fill_with_files, open_study_at


def test_the_dashboard_deletes_no_file_that_may_be_anothers(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    shared = Folder(tmp_path / "artifacts", shared_with=("studies.backup",))
    fill_with_files(study, folders(tmp_path))
    there = files_beside_database(tmp_path)
    client = Client(dashboard_app(study.storage, folders(tmp_path)._replace(artifacts=shared)))
    reply = client("DELETE", f"/api/studies/{study.study_id}", {"remove_associated_artifacts": True})
    assert reply.status == 409
    assert "is also the folder of studies.backup" in reply.json["reason"]
    assert files_beside_database(tmp_path) == there
    with pytest.raises(UserError, match=r"studies\.backup"):
        delete_study_and_files(study, folders(tmp_path)._replace(artifacts=shared))
    reply = client("DELETE", f"/api/studies/{study.study_id}", {"remove_associated_artifacts": False})
    assert reply.status == 200
    assert files_beside_database(tmp_path) == there


def dashboard_client_of(study: OpenStudy, places: Folders) -> Client:
    """The dashboard over its storage."""
    return Client(dashboard_app(open_storage(study.storage.engine.url), places))


def add_file_on_dashboard(client: Client, study: OpenStudy) -> str:
    added = {"file": "data:text/plain;base64,bm90ZXM=", "filename": "notes.txt"}
    artifact: str = client("POST", f"/api/artifacts/{study.study_id}", added).json["artifact_id"]
    return artifact


def test_a_file_that_a_copy_has_too_is_only_listed_no_more(tmp_path: Path) -> None:
    study, places = new_study(tmp_path), folders(tmp_path)
    (tmp_path / "artifacts").mkdir()
    client = dashboard_client_of(study, places)
    added = add_file_on_dashboard(client, study)
    url = str(study.storage.engine.url)
    optuna.copy_study(from_study_name="tiny", from_storage=url, to_storage=url, to_study_name="stock")
    stock = open_study_at(tmp_path / "studies.db", "stock")
    for one, stays in ((study, True), (stock, False)):
        assert client("DELETE", f"/api/artifacts/{one.study_id}/{added}").status == 200
        assert client("DELETE", f"/api/artifacts/{one.study_id}/{added}").status == 403
        assert (tmp_path / "artifacts" / added).exists() == stays


def test_a_file_added_to_a_study_goes_with_it_and_what_was_removed_is_not_looked_for(tmp_path: Path) -> None:
    study, places = new_study(tmp_path), folders(tmp_path)
    (tmp_path / "artifacts").mkdir()
    client = dashboard_client_of(study, places)
    added, removed = add_file_on_dashboard(client, study), add_file_on_dashboard(client, study)
    assert client("DELETE", f"/api/artifacts/{study.study_id}/{removed}").status == 200
    (tmp_path / "artifacts" / removed).write_text("another study's by now")
    assert delete_study_and_files(study, places).files == 1
    assert not (tmp_path / "artifacts" / added).exists()
    assert (tmp_path / "artifacts" / removed).exists()


def test_the_dashboard_says_of_a_file_that_it_is_not_here_or_is_none(tmp_path: Path) -> None:
    study, places = new_study(tmp_path), folders(tmp_path)
    (tmp_path / "artifacts").mkdir()
    client = dashboard_client_of(study, places)
    added = add_file_on_dashboard(client, study)
    address = f"/artifacts/{study.study_id}/{added}"
    assert client("GET", address).body == b"notes"
    place = tmp_path / "artifacts" / added
    for instead in ("nothing", "a link", "a pipe"):
        place.unlink()
        if instead == "a link":
            place.symlink_to("/etc/hostname")
        if instead == "a pipe":
            os.mkfifo(place)
        reply = client("GET", address)
        said = b"this file is not in the folder of artifacts on this machine"
        assert (reply.status, reply.body) == (404, said)
        if instead == "nothing":
            place.touch()
