"""A deleted study takes its own files along, and no other study's."""

from __future__ import annotations

import shutil
from pathlib import Path

import optuna

from mnist_tune.files.checkpoints import checkpoint_key
from mnist_tune.files.locations import Folder, Folders, checkpoints_of
from mnist_tune.results.reading import read_results
from mnist_tune.storage.artifacts import ArtifactFolder
from mnist_tune.study.delete import delete_study_and_files
from tests.support.commands import Command
from tests.support.studies import folders, new_study, work
from tests.support.study_files import files_beside_database, fill_with_files, open_study_at


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
    work(study, lambda _: 90.0, places=places)
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
