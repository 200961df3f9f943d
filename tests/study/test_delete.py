"""A deleted study takes its own files along, and no other study's."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy
import optuna
import pytest
import safetensors.numpy

from mnist_tune.dashboard.app import dashboard_app
from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.failures import Failure
from mnist_tune.files.checkpoints import checkpoint_key, save
from mnist_tune.files.locations import Folder, Folders, checkpoints_of
from mnist_tune.results.reading import read_results
from mnist_tune.storage.artifacts import ArtifactFolder, upload
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.storage.keys import CHECKPOINT, UID
from mnist_tune.study.delete import delete_study_and_files
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import open_study
from tests.support.commands import Command
from tests.support.dashboard_client import Client
from tests.support.studies import folders, new_study, open_file, take, work

STATE = b"weights"
MODEL = safetensors.numpy.save({"weights": numpy.zeros(10, dtype="float32")})


def fill_with_files(study: OpenStudy, places: Folders) -> None:
    """A complete trial with its files, and one that was stopped after an epoch."""
    queue = study.queue()
    complete, stopped = take(queue), take(queue)
    files = {"model.safetensors": MODEL, "log.txt": b"done\n"}
    queue.complete(
        complete, 90.0, system=upload(ArtifactFolder(places.artifacts.path), complete.token, files)
    )
    key = checkpoint_key(stopped.trial_id, stopped.token, 1)
    checkpoint = save(checkpoints_of(study.uid, places.checkpoints), key, 1, STATE)
    queue.record(stopped, system={CHECKPOINT: asdict(checkpoint)})
    assert queue.give_back(stopped, Failure("preempted", "stopped"))


def open_study_at(path: Path, name: str = "tiny") -> OpenStudy:
    return open_study(open_storage(storage_url(f"sqlite:///{path}")), name)


def files_beside_database(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("studies.db")}


def set_uid(study: OpenStudy, uid: object) -> OpenStudy:
    study.storage.set_study_user_attr(study.study_id, UID, uid)
    return open_study(study.storage, study.name)


def test_a_study_goes_with_its_checkpoints_weights_and_logs(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    places = Folders.of(study.storage.engine.url)
    fill_with_files(study, places)
    assert delete_study_and_files(study, places).files == 2
    assert [folder.path.exists() for folder in places] == [False, False]


def test_folders_that_a_person_named_stay_with_what_is_theirs(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    fill_with_files(study, folders(tmp_path))
    notes = tmp_path / "checkpoints" / study.uid / "notes.txt"
    for path in (notes, tmp_path / "artifacts" / "notes.txt"):
        path.write_text("somebody's own")
    assert delete_study_and_files(study, folders(tmp_path)).problems == []
    assert files_beside_database(tmp_path) - {tmp_path / "spec.toml"} == {
        notes,
        tmp_path / "artifacts" / "notes.txt",
    }
    notes.unlink()
    delete_study_and_files(new_study(tmp_path, url=f"sqlite:///{tmp_path}/other.db"), folders(tmp_path))
    assert (tmp_path / "checkpoints").is_dir()


def test_a_backup_beside_a_database_has_no_part_in_its_files(tmp_path: Path) -> None:
    study = new_study(tmp_path, url=f"sqlite:///{tmp_path}/s.db")
    places = Folders.of(study.storage.engine.url)
    fill_with_files(study, places)
    study.storage.engine.dispose()
    shutil.copy(tmp_path / "s.db", tmp_path / "s.backup")
    backup = open_study_at(tmp_path / "s.backup")
    assert delete_study_and_files(backup, Folders.of(backup.storage.engine.url)).files == 0
    (log,) = (attempt.artifacts["log.txt"] for attempt in read_results(study).complete)
    assert ArtifactFolder(places.artifacts.path).path(log).read_bytes() == b"done\n"
    assert len(checkpoints_of(study.uid, places.checkpoints).keys()) == 1


def test_files_in_a_folder_that_two_databases_have_from_version_0_5_0_are_not_deleted(
    tmp_path: Path, command: Command
) -> None:
    for kind in ("checkpoints", "artifacts"):
        (tmp_path / f"studies-{kind}").mkdir()
    study = new_study(tmp_path)
    places = Folders.of(study.storage.engine.url)
    assert places.artifacts.path == tmp_path / "studies-artifacts"
    fill_with_files(study, places)
    there = files_beside_database(tmp_path)
    study.storage.engine.dispose()
    shutil.copy(tmp_path / "studies.db", tmp_path / "studies.backup")
    answer = command("delete-study", "tiny", "--files", "--yes")
    assert answer.code == 2
    assert (
        "studies-checkpoints: is also the folder of studies.backup, as version 0.5.0 named it" in answer.err
    )
    assert files_beside_database(tmp_path) == there | {tmp_path / "studies.backup"}
    assert open_study_at(tmp_path / "studies.db").name == "tiny"
    (tmp_path / "studies.backup").unlink()
    assert command("delete-study", "tiny", "--files", "--yes").out == (
        "deleted study 'tiny' and 2 files of its trials\n"
    )


def test_a_worker_deletes_no_checkpoint_that_another_database_may_need(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    places = Folders(Folder(tmp_path / "old", True, ("studies.backup",)), Folder(tmp_path / "artifacts"))
    fill_with_files(study, places)
    states = checkpoints_of(study.uid, places.checkpoints)
    states.write(checkpoint_key(77, "0" * 32, 1), b"of the other database's trial")
    there = set(states.keys())
    work(study, lambda _: 90.0, states=states)
    assert read_results(study).is_finished
    assert set(states.keys()) == there


def test_a_copy_that_stock_optuna_made_keeps_its_files_when_the_original_goes(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    fill_with_files(study, folders(tmp_path))
    url = str(study.storage.engine.url)
    optuna.copy_study(from_study_name="tiny", from_storage=url, to_storage=url, to_study_name="stock")
    there = files_beside_database(tmp_path)
    assert delete_study_and_files(study, folders(tmp_path)).files == 0
    assert files_beside_database(tmp_path) == there
    assert (
        delete_study_and_files(open_study_at(tmp_path / "studies.db", "stock"), folders(tmp_path)).files == 2
    )
    assert files_beside_database(tmp_path) == {tmp_path / "spec.toml"}


def test_a_worker_spares_the_checkpoints_of_a_copy_that_stock_optuna_made(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    fill_with_files(study, folders(tmp_path))
    url = str(study.storage.engine.url)
    optuna.copy_study(from_study_name="tiny", from_storage=url, to_storage=url, to_study_name="stock")
    queue = study.queue()
    while (claim := queue.claim("worker")) is not None:
        queue.complete(claim, 1.0)  # so that the original needs no checkpoint any more
    (needed,) = open_study_at(tmp_path / "studies.db", "stock").checkpoints_in_use()[0]
    work(study, lambda _: 1.0)  # which clears up
    assert checkpoints_of(study.uid, folders(tmp_path).checkpoints).keys() == [needed]


@pytest.fixture
def foreign_files(tmp_path: Path) -> Path:
    """A folder with files that are none of ours."""
    folder = tmp_path / "precious"
    (folder / "below").mkdir(parents=True)
    for path in (folder / "7-notes.pt", folder / "below" / "file"):
        path.write_text("somebody's own")
    return folder


def test_no_command_follows_a_uid_that_is_a_path(
    tmp_path: Path, foreign_files: Path, command: Command
) -> None:
    set_uid(new_study(tmp_path), str(foreign_files))
    there = files_beside_database(foreign_files)
    places = ("--checkpoints", str(tmp_path / "checkpoints"), "--artifacts", str(tmp_path / "artifacts"))
    answer = command("worker", "tiny", *places)
    assert (answer.code, answer.err.count("\n")) == (1, 1)
    assert "study 'tiny' is damaged: the uid is" in answer.err
    assert "and not 32 hexadecimal digits; make a sound one of it with" in answer.err
    assert command("status", "tiny").code == 0
    answer = command("delete-study", "tiny", "--files", "--yes", *places)
    assert answer.code == 1
    assert answer.out == "deleted study 'tiny' and 0 files of its trials\n"
    assert answer.err.startswith("left: no checkpoint was deleted: study 'tiny' is damaged: ")
    assert open_file(tmp_path).get_all_studies() == []
    assert files_beside_database(foreign_files) == there


@pytest.mark.parametrize("uid", ["../precious", "..", "", ".", "x" * 32, 7, ["a"], {}])
def test_a_uid_that_is_none_names_no_folder(tmp_path: Path, foreign_files: Path, uid: object) -> None:
    study = set_uid(new_study(tmp_path), uid)
    there = files_beside_database(foreign_files)
    with pytest.raises(MnistTuneError, match=r"is damaged: the uid is .*, and not 32 hexadecimal digits"):
        _ = study.uid
    assert len(delete_study_and_files(study, folders(tmp_path)).problems) == 1
    assert files_beside_database(foreign_files) == there


def test_a_study_of_version_0_1_which_has_no_uid_is_known_by_its_name(tmp_path: Path) -> None:
    study = set_uid(new_study(tmp_path), None)
    assert study.uid == "tiny"


def test_an_artifact_id_that_is_a_path_deletes_nothing(tmp_path: Path) -> None:
    foreign_files = tmp_path / "precious"
    foreign_files.write_text("somebody's own")
    study = new_study(tmp_path)
    claim = take(study.queue())
    for found in (str(foreign_files), "../precious"):
        meta = {"artifact_id": found, "filename": "log.txt", "mimetype": "text/plain", "encoding": None}
        study.storage.set_trial_system_attr(claim.trial_id, f"artifacts:{found}", json.dumps(meta))
    assert delete_study_and_files(study, folders(tmp_path)).files == 0
    assert foreign_files.read_text() == "somebody's own"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may delete everything")
def test_a_file_that_cannot_be_deleted_is_named(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    fill_with_files(study, folders(tmp_path))
    (tmp_path / "artifacts").chmod(0o500)
    assert len(delete_study_and_files(study, folders(tmp_path)).problems) == 2


def test_a_folder_in_a_files_place_is_named_and_left(tmp_path: Path, command: Command) -> None:
    study = new_study(tmp_path)
    fill_with_files(study, folders(tmp_path))
    (log,) = (attempt.artifacts["log.txt"] for attempt in read_results(study).complete)
    place = tmp_path / "artifacts" / log
    place.unlink()
    place.mkdir()
    answer = command("delete-study", "tiny", "--files", "--yes", "--artifacts", str(tmp_path / "artifacts"))
    assert answer.code == 1
    assert answer.out == "deleted study 'tiny' and 1 file of its trials\n"
    assert answer.err.startswith(f"left: {place}: ")
    assert place.is_dir()


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
