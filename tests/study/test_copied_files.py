"""A copy of a study has its own files: neither loses one with the other, wherever the two lie."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.files.checkpoints import load
from mnist_tune.files.locations import Folder, Folders, checkpoints_of
from mnist_tune.results.reading import read_results
from mnist_tune.storage.artifacts import ArtifactFolder
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.storage.keys import LEFT_BEHIND
from mnist_tune.study.copy import copy_study
from mnist_tune.study.delete import delete_study_and_files
from mnist_tune.study.finished import Finished, take_over
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.verification import verify
from tests.support.commands import Command
from tests.support.specs import TINY_SPEC
from tests.support.studies import folders, new_study, take, work
from tests.support.study_files import STATE, files_beside_database, fill_with_files, open_study_at, set_uid


@pytest.fixture
def original(tmp_path: Path) -> OpenStudy:
    """A complete trial with two files, and one that was stopped after an epoch."""
    study = new_study(tmp_path)
    fill_with_files(study, Folders.of(study.storage.engine.url))
    return study


def place_of(study: OpenStudy) -> Folders:
    return Folders.of(study.storage.engine.url)


def logs(study: OpenStudy, places: Folders) -> list[bytes]:
    """The logs of its trials, as far as they are there."""
    folder = ArtifactFolder(places.artifacts.path)
    return [
        folder.path(attempt.artifacts["log.txt"]).read_bytes() for attempt in read_results(study).complete
    ]


def assert_whole(study: OpenStudy, places: Folders) -> None:
    """All that a study has is there, and it goes on from where it was."""
    verification = verify(study.storage, study.name, places.artifacts.path, places.checkpoints.path)
    assert [str(finding) for outcome in verification.outcomes for finding in outcome.findings] == []
    assert logs(study, places) == [b"done\n"]
    waiting = [claim.checkpoint for _ in range(7) if (claim := take(study.queue())).checkpoint is not None]
    assert len(waiting) == 1
    assert load(checkpoints_of(study.uid, places.checkpoints), waiting[0]) == STATE


@pytest.mark.parametrize("shared", [False, True], ids=["folders of their own", "one folder for both"])
@pytest.mark.parametrize("where", ["another storage", "the same storage"])
@pytest.mark.parametrize("goes", ["the original", "the copy"])
def test_neither_loses_a_file_when_the_other_is_deleted(
    tmp_path: Path, shared: bool, where: str, goes: str
) -> None:
    original = new_study(tmp_path)
    its = folders(tmp_path)
    fill_with_files(original, its)
    url, name = (
        (original.storage.engine.url, "again")
        if where == "the same storage"
        else (storage_url(f"sqlite:///{tmp_path}/copy.db"), "tiny")
    )
    copys = its if shared else folders(tmp_path / "new")
    copied = copy_study(original, url, name, its, copys)
    assert (copied.files, copied.missing) == (3, 0)
    copy = open_study_at(Path(url.database or ""), name)
    kept = {path for each in (its, copys) for folder in each for path in files_beside_database(folder.path)}
    assert len(kept) == 6
    assert len({path.stat().st_ino for path in kept}) == 3, "on one disk they take no room twice"
    if goes == "the original":
        assert delete_study_and_files(original, its).files == 2
        assert_whole(copy, copys)
    else:
        assert delete_study_and_files(copy, copys).files == 2
        assert_whole(original, its)


def test_a_worker_of_one_leaves_the_checkpoints_of_the_other(original: OpenStudy, tmp_path: Path) -> None:
    its = place_of(original)
    copy_study(original, storage_url(f"sqlite:///{tmp_path}/copy.db"), target=its)
    copy = open_study_at(tmp_path / "copy.db")
    work(original, lambda _: 90.0, places=its)
    assert read_results(original).is_finished
    assert_whole(copy, its)


def test_the_storages_own_folders_are_taken_unless_others_are_named(
    original: OpenStudy, tmp_path: Path, command: Command
) -> None:
    there = f"sqlite:///{tmp_path}/copy.db"
    answer = command("copy-study", "tiny", "--to", there)
    assert (
        f"files of its own: 3, in {tmp_path}/copy.db.checkpoints and {tmp_path}/copy.db.artifacts\n"
        in answer.out
    )
    assert command("delete-study", "tiny", "--files", "--yes").code == 0
    assert_whole(open_study_at(tmp_path / "copy.db"), Folders.of(storage_url(there)))


def test_files_on_another_machine_stay_the_originals_and_are_a_remark(
    original: OpenStudy, tmp_path: Path, command: Command
) -> None:
    its = place_of(original)
    away = tmp_path / "away"
    away.mkdir()
    for folder in its:
        folder.path.rename(away / folder.path.name)
    there = f"sqlite:///{tmp_path}/copy.db"
    answer = command("copy-study", "tiny", "--to", there)
    assert answer.code == 0
    places = f"{its.checkpoints.path} and {its.artifacts.path}"
    assert f"files that stay the original's alone, not found in {places}: 3; where they lie" in answer.out
    (tmp_path / "copy.db.artifacts").mkdir()  # as soon as one of its workers has put a file there
    answer = command("verify", "tiny", "--storage", there)
    assert answer.code == 0, answer.out
    assert "2 files lie not in" in answer.out
    assert "but with the study that this is a copy of: name that folder with --artifacts" in answer.out
    found = Folder(away / its.artifacts.path.name), Folder(away / its.checkpoints.path.name)
    before = files_beside_database(away)
    deleted = delete_study_and_files(open_study_at(tmp_path / "copy.db"), Folders(found[1], found[0]))
    assert deleted.files == 0
    assert files_beside_database(away) == before


def test_what_a_copy_left_behind_it_takes_along_when_it_is_copied_where_they_are_found(
    original: OpenStudy, tmp_path: Path
) -> None:
    its = place_of(original)
    second, third = (storage_url(f"sqlite:///{tmp_path}/{name}.db") for name in ("second", "third"))
    assert copy_study(original, second, source=folders(tmp_path / "nowhere")).missing == 3
    assert (
        copy_study(open_study_at(tmp_path / "second.db"), third, source=its).files == 2
    )  # no uid leads to the third
    (complete,) = read_results(open_study_at(tmp_path / "third.db")).complete
    attributes = open_study_at(tmp_path / "third.db").storage.get_trial_system_attrs(1)
    assert LEFT_BEHIND not in attributes
    assert complete.artifacts
    delete_study_and_files(original, its)
    assert logs(open_study_at(tmp_path / "third.db"), Folders.of(third)) == [b"done\n"]


def test_a_result_that_is_taken_over_from_a_copy_is_no_more_its_own(
    original: OpenStudy, tmp_path: Path
) -> None:
    copy_study(original, original.storage.engine.url, "copy", source=folders(tmp_path / "nowhere"))
    copy = open_study_at(tmp_path / "studies.db", "copy")
    new = new_study(tmp_path, TINY_SPEC.replace('"tiny"', '"new"'))
    source = read_results(copy).complete[0]
    trial = copy.storage.get_all_trials(copy.study_id)[source.number]
    waiting = new.storage.get_all_trials(new.study_id)[0]
    token = trial.system_attrs["mnist_tune:claim"]
    with new.storage.transaction() as session:
        take_over(session, waiting._trial_id, Finished("copy", source.number, trial._trial_id, token))
    its = place_of(original)
    for study in (copy, new):
        assert delete_study_and_files(study, its).files == 0
    assert logs(original, its) == [b"done\n"]


def test_a_copy_that_fails_leaves_no_file(original: OpenStudy, tmp_path: Path) -> None:
    there = storage_url(f"sqlite:///{tmp_path}/copy.db")
    its = place_of(original)
    before = files_beside_database(tmp_path)
    (log,) = (attempt.artifacts["log.txt"] for attempt in read_results(original).complete)
    place = ArtifactFolder(its.artifacts.path).path(log)
    content = place.read_bytes()
    place.unlink()
    place.mkdir()
    with pytest.raises(MnistTuneError, match=rf"{log}: it is not a regular file; the study was not copied"):
        copy_study(original, there)
    place.rmdir()
    place.write_bytes(content)
    assert open_storage(there).get_all_studies() == []
    copy_study(original, there)
    with pytest.raises(UserError, match="has a study 'tiny' already"):
        copy_study(original, there)
    delete_study_and_files(open_study_at(tmp_path / "copy.db"), Folders.of(there))
    assert {path for path in files_beside_database(tmp_path) if not path.name.startswith("copy.db")} == before


def test_a_uid_that_is_a_path_is_not_copied_on_and_nothing_is_read_there(
    original: OpenStudy, tmp_path: Path
) -> None:
    its = place_of(original)
    precious = its.checkpoints.path / original.uid
    damaged = set_uid(original, str(precious))
    copied = copy_study(damaged, storage_url(f"sqlite:///{tmp_path}/copy.db"))
    assert (copied.files, copied.missing) == (2, 1)
    copy = open_study_at(tmp_path / "copy.db")
    assert copy.uid not in (str(precious), original.uid)
    assert len(files_beside_database(precious)) == 1


def test_an_artifact_id_or_a_key_that_is_a_path_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("somebody's own")
    study = new_study(tmp_path)
    waiting = study.storage.get_all_trials(study.study_id)[0]._trial_id
    for found in (str(tmp_path / "precious"), "../precious"):
        meta = {"artifact_id": found, "filename": "log.txt", "mimetype": "text/plain", "encoding": None}
        study.storage.set_trial_system_attr(waiting, f"artifacts:{found}", json.dumps(meta))
        pointer = {"key": found, "sha256": "0" * 64, "epoch": 1}
        study.storage.set_trial_system_attr(waiting, "mnist_tune:checkpoint", pointer)
    copied = copy_study(study, storage_url(f"sqlite:///{tmp_path}/copy.db"), target=folders(tmp_path / "new"))
    assert (copied.files, copied.missing) == (0, 0)
    assert not (tmp_path / "new").exists()
