"""Final files of trials: whole on the disk, and found by stock Optuna."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.artifacts import FileSystemArtifactStore, download_artifact, get_all_artifact_meta

from mnist_tune.failures import Failure
from mnist_tune.storage.artifacts import ArtifactFolder, upload
from mnist_tune.study.open_study import OpenStudy
from tests.support.commands import run_python
from tests.support.mount_namespace import run_with_mounts
from tests.support.studies import take

TOKEN = "0123456789abcdef" * 2
WEIGHTS = b"weights" * 10_000
ID = "01234567-89ab-5def-8123-456789abcdef"

UPLOAD = """
import os, signal
from pathlib import Path
from mnist_tune.storage.artifacts import ArtifactFolder, upload

{before}
try:
    upload(ArtifactFolder(Path("artifacts")), "0123456789abcdef" * 2, {{"log.txt": b"new" * 50_000}})
except OSError as error:
    print(error.strerror)
print(*(path.read_bytes()[:9] for path in Path("artifacts").iterdir()))
"""


@pytest.fixture
def folder(tmp_path: Path) -> ArtifactFolder:
    return ArtifactFolder(tmp_path / "artifacts")


def contents(folder: Path) -> list[bytes]:
    """The contents of the files in the folder, whatever their names."""
    return sorted(file.read_bytes() for file in (folder / "artifacts").iterdir())


def test_stock_optuna_lists_and_downloads_the_files_of_a_trial(
    study: OpenStudy, folder: ArtifactFolder, tmp_path: Path
) -> None:
    queue = study.queue()
    claim = take(queue)
    files = {"model.safetensors": WEIGHTS, "log.txt": b"done\n"}
    queue.complete(claim, 50.0, system=upload(folder, claim.token, files))

    stock = optuna.load_study(study_name="tiny", storage=study.storage.url)
    found = get_all_artifact_meta(stock.best_trial, storage=stock._storage)
    assert {(meta.filename, meta.mimetype, meta.encoding) for meta in found} == {
        ("model.safetensors", "application/octet-stream", None),
        ("log.txt", "text/plain", None),
    }
    store = FileSystemArtifactStore(tmp_path / "artifacts")
    for meta in found:
        copy = tmp_path / meta.filename
        download_artifact(artifact_store=store, file_path=str(copy), artifact_id=meta.artifact_id)
        assert copy.read_bytes() == files[meta.filename]


def test_a_failed_attempt_has_files_too_and_its_successor_does_not_inherit_them(
    study: OpenStudy, folder: ArtifactFolder
) -> None:
    queue = study.queue()
    claim = take(queue)
    queue.give_back(claim, Failure("preempted", "drained"), upload(folder, claim.token, {"log.txt": b"log"}))
    failed, *_, retry = study.optuna_study().trials
    assert [meta.filename for meta in get_all_artifact_meta(failed, storage=study.storage)] == ["log.txt"]
    assert get_all_artifact_meta(retry, storage=study.storage) == []


def test_files_lie_whole_in_the_folder_and_nothing_else(folder: ArtifactFolder, tmp_path: Path) -> None:
    upload(folder, TOKEN, {"model.safetensors": WEIGHTS, "log.txt": b""})
    assert contents(tmp_path) == [b"", WEIGHTS]


def test_an_upload_done_again_replaces_its_own_files_and_no_other_attempts(
    folder: ArtifactFolder, tmp_path: Path
) -> None:
    first = upload(folder, TOKEN, {"log.txt": b"one line\n"})
    upload(folder, TOKEN[::-1], {"log.txt": b"of another attempt\n"})
    assert upload(folder, TOKEN, {"log.txt": b"one line\ntwo lines\n"}) == first
    assert contents(tmp_path) == [b"of another attempt\n", b"one line\ntwo lines\n"]


@pytest.mark.parametrize("last_call", ["fsync", "replace"])
def test_an_upload_that_is_killed_leaves_what_was_there(
    folder: ArtifactFolder, tmp_path: Path, last_call: str
) -> None:
    (attribute,) = upload(folder, TOKEN, {"log.txt": b"old"})
    death = f"os.{last_call} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)"
    done = run_python(UPLOAD.format(before=death), tmp_path)
    assert done.returncode < 0, done.stderr
    assert folder.open_reader(attribute.removeprefix("artifacts:")).read() == b"old"
    upload(folder, TOKEN, {"log.txt": b"newer"})
    assert b"newer" in contents(tmp_path)


def test_an_upload_onto_a_full_disk_fails_and_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "artifacts").mkdir()
    before = "upload(ArtifactFolder(Path('artifacts')), '0123456789abcdef' * 2, {'log.txt': b'old'})"
    mount = "mount -t tmpfs -o size=32k none artifacts"
    done = run_with_mounts(mount, UPLOAD.format(before=before), tmp_path)
    assert done.stdout == "No space left on device\nb'old'\n", done.stderr


@pytest.mark.parametrize(
    "found", ["/etc/hostname", "../precious", "precious", "", "..", ID.upper(), f"{ID}\n"]
)
def test_an_id_that_is_no_uuid_is_neither_read_nor_written_nor_removed(
    folder: ArtifactFolder, tmp_path: Path, found: str
) -> None:
    (tmp_path / "precious").write_bytes(b"somebody's own")
    actions: tuple[Callable[[str], object], ...] = (
        folder.open_reader,
        folder.remove,
        lambda artifact_id: folder.write(artifact_id, io.BytesIO()),
    )
    for action in actions:
        with pytest.raises(ValueError, match=r"the id of an artifact is .*, and not a UUID"):
            action(found)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]
    assert (tmp_path / "precious").read_bytes() == b"somebody's own"


def test_a_link_or_a_pipe_in_a_files_place_is_not_read_and_nobody_waits_for_it(
    folder: ArtifactFolder, tmp_path: Path
) -> None:
    place = folder.path(ID)
    place.parent.mkdir()
    place.symlink_to("/etc/hostname")
    with pytest.raises(OSError, match="it is a link, not a file"):
        folder.open_reader(ID)
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(OSError, match="it is not a regular file"):
        folder.open_reader(ID)


def test_only_halves_of_our_files_that_are_a_day_old_are_cleared_up(
    folder: ArtifactFolder, tmp_path: Path
) -> None:
    folder.clear_up()  # there is no folder yet
    names = {ID, "notes.txt", "notes.txt.0123456789abcdef.tmp", f"{ID}.tmp.txt"}
    half, new = f"{ID}.0123456789abcdef.tmp", f"{ID}.fedcba9876543210.tmp"
    (tmp_path / "artifacts").mkdir()
    for name in (*names, half, new):
        (tmp_path / "artifacts" / name).write_bytes(b"")
        if name != new:
            os.utime(tmp_path / "artifacts" / name, (0, 0))
    folder.clear_up()
    assert {path.name for path in (tmp_path / "artifacts").iterdir()} == {*names, new}
