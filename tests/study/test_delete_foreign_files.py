"""Deleting a study follows no path that its database names, and deletes nobody else's file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mnist_tune.errors import MnistTuneError
from mnist_tune.results.reading import read_results
from mnist_tune.study.delete import delete_study_and_files
from tests.support.commands import Command
from tests.support.studies import folders, new_study, open_file, take
from tests.support.study_files import files_beside_database, fill_with_files, set_uid


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
