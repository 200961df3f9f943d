"""Each storage has folders of its own for its files, and finds those that version 0.5.0 made for it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from mnist_tune.errors import UserError
from mnist_tune.files.locations import Folder, Folders, checkpoints_of, tokens_file
from mnist_tune.storage.engine import storage_url

UID = "0123456789abcdef" * 2
KEY = f"1-{UID}-1.pt"


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("CHECKPOINTS", "ARTIFACTS", "TOKENS"):
        monkeypatch.delenv(f"MNIST_TUNE_{kind}", raising=False)


def database(path: Path) -> Folders:
    """An SQLite file, and the folders for the files of its studies."""
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS anything (id INTEGER)")
    connection.close()
    return Folders.of(storage_url(f"sqlite:///{path}"))


def test_no_two_databases_have_the_same_folders(tmp_path: Path) -> None:
    names = ("s", "s.db", "s.backup", "s.db.backup", "s.db.artifacts", "s-artifacts", "s-artifacts.db")
    found = [database(tmp_path / name) for name in names]
    assert len({folder.path for folders in found for folder in folders}) == 2 * len(names)
    assert found[1] == (
        Folder(tmp_path / "s.db.checkpoints", is_default=True),
        Folder(tmp_path / "s.db.artifacts", is_default=True),
    )


def test_the_folders_of_version_0_5_0_are_found_again(tmp_path: Path) -> None:
    (tmp_path / "s-artifacts").mkdir()
    (tmp_path / "s.db-wal").write_bytes(b"no database")
    assert database(tmp_path / "s.db") == (
        Folder(tmp_path / "s.db.checkpoints", is_default=True),
        Folder(tmp_path / "s-artifacts", is_default=True),
    )


def test_a_folder_that_two_databases_had_says_so_and_keeps_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "s-checkpoints" / UID).mkdir(parents=True)
    database(tmp_path / "s.backup")
    folder = database(tmp_path / "s.db").checkpoints
    assert (folder.path, folder.shared_with) == (tmp_path / "s-checkpoints", ("s.backup",))
    states = checkpoints_of(UID, folder)
    states.write(KEY, b"state")
    states.delete(KEY)
    states.remove_if_empty()
    assert states.read(KEY) == b"state"


def test_options_come_before_the_environment_and_that_before_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = storage_url("sqlite:///s.db")
    monkeypatch.setenv("MNIST_TUNE_ARTIFACTS", str(tmp_path / "environment"))
    assert Folders.of(url).artifacts == Folder(tmp_path / "environment")
    assert Folders.of(url, artifacts=tmp_path / "option").artifacts == Folder(tmp_path / "option")


def test_a_folder_that_we_named_goes_when_it_is_empty_and_one_that_a_person_named_stays(
    tmp_path: Path,
) -> None:
    for name, is_default in (("ours", True), ("theirs", False)):
        folder = Folder(tmp_path / name, is_default)
        folder.clear_up()
        folder.path.mkdir()
        (folder.path / "file").touch()
        folder.clear_up()
        assert folder.path.exists()
        (folder.path / "file").unlink()
        folder.clear_up()
        assert folder.path.exists() != is_default


def test_tokens_lie_where_they_are_named_else_beside_the_file_else_with_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    sqlite, postgresql = (
        storage_url(text) for text in (f"sqlite:///{tmp_path}/s.db", "postgresql://user@host/studies")
    )
    assert tokens_file(sqlite) == tmp_path / "s.db.tokens"
    assert tokens_file(postgresql) == tmp_path / "data" / "mnist-tune" / "tokens"
    monkeypatch.setenv("MNIST_TUNE_TOKENS", str(tmp_path / "environment"))
    assert tokens_file(sqlite) == tokens_file(postgresql) == tmp_path / "environment"
    assert tokens_file(sqlite, tmp_path / "option") == tmp_path / "option"


def test_a_mistyped_storage_gets_no_tokens(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the folder .*/nothing does not exist; correct --storage"):
        tokens_file(storage_url(f"sqlite:///{tmp_path}/nothing/s.db"))
