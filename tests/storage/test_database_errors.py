"""A database that is gone, read-only, full or damaged: one line that says what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy

from mnist_tune.storage.engine import open_engine, storage_url
from mnist_tune.storage.schema import prepare
from tests.support.commands import STORED, Command
from tests.support.mount_namespace import run_with_mounts
from tests.support.specs import TINY_SPEC, write_spec
from tests.support.studies import new_study

WRITE = sqlalchemy.text("UPDATE version_info SET library_version = 'written'")
RUN_EACH = """
import os, sys
from mnist_tune.__main__ import main
os.environ["MNIST_TUNE_STORAGE"] = "sqlite:///studies.db"
for line in {lines!r}:
    sys.argv = ["mnist-tune", *line.split()]
    try:
        main()
    except SystemExit as leaving:
        print(leaving.code, flush=True, file=sys.stderr)
"""


def run_each(*lines: str, shell: str, folder: Path) -> list[str]:
    """Run commands in `folder` after `shell` has mounted it anew; what was said, and each exit code."""
    return run_with_mounts(shell, RUN_EACH.format(lines=lines), folder).stderr.splitlines()


def damage(file: Path, table: str) -> None:
    """Overwrite the page in which the table's tree has its root."""
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        page = connection.execute(query, (table,)).fetchone()[0]
    connection.close()
    with file.open("r+b") as content:
        content.seek((page - 1) * size)
        content.write(b"\xff" * size)


def closed_study(folder: Path) -> None:
    """A study whose file nobody has open, and the spec of another."""
    storage = new_study(folder).storage
    storage.remove_session()
    storage.engine.dispose()
    write_spec(folder, TINY_SPEC.replace('"tiny"', '"other"'), "other.toml")


def open_study_engine(folder: Path) -> sqlalchemy.Engine:
    """An engine on a fresh storage."""
    url = storage_url(f"sqlite:///{folder}/{STORED}")
    prepare(url, create=True)
    return open_engine(url)


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("version_info", "status tiny"),
        ("version_info", "worker tiny"),
        ("version_info", "create-study other.toml"),
        ("studies", "status tiny"),
        ("studies", "create-study other.toml"),
        ("trials", "status tiny"),
    ],
)
def test_a_damaged_file_is_told_with_what_can_be_saved(
    tmp_path: Path, command: Command, table: str, line: str
) -> None:
    closed_study(tmp_path)
    damage(tmp_path / STORED, table)
    answer = command(*line.split())
    assert answer.code == 1
    assert "cannot be used: database disk image is malformed; put back a copy of the file" in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.slow
def test_a_read_only_folder_is_told(tmp_path: Path) -> None:
    closed_study(tmp_path)
    lines = ["status tiny", "worker tiny", "create-study other.toml"]
    said = run_each(*lines, shell="mount --bind . . && mount -o remount,bind,ro .", folder=tmp_path)
    what = f"mnist-tune: sqlite:///{STORED}: cannot be used: unable to open database file; "
    remedy = "see that the file is there and that its folder can be written: SQLite needs that even to read"
    assert said == [what + remedy, "2"] * len(lines)


@pytest.mark.slow
def test_a_read_only_file_can_be_looked_at_and_to_write_it_is_told(tmp_path: Path) -> None:
    closed_study(tmp_path)
    shell = f"mount --bind {STORED} {STORED} && mount -o remount,bind,ro {STORED}"
    assert run_each("status tiny", "create-study other.toml", shell=shell, folder=tmp_path) == [
        "0",
        "mnist-tune: the storage cannot be used: attempt to write a readonly database; "
        "let this user write to the file and its folder, or name another file",
        "1",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("free", "line", "reason"),
    [
        (0, "status tiny", "disk I/O error; see that the disk has space left"),
        (0, "worker tiny", "disk I/O error; see that the disk has space left"),
        (
            0,
            "create-study other.toml --storage sqlite:///new.db",
            "database or disk is full; free some space",
        ),
        (40, "create-study other.toml", "database or disk is full; free some space"),
    ],
)
def test_a_full_disk_is_told(tmp_path: Path, free: int, line: str, reason: str) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    closed_study(kept)
    disk = tmp_path / "disk"
    disk.mkdir()
    shell = (
        f"mount -t tmpfs -o size=1m none {disk} && cp {kept}/* {disk} && cd {disk}\n"
        f"fallocate -l $(( ($(stat -f -c %f .) * 4 - {free}) * 1024 )) filling"
    )
    said, code = run_each(line, shell=shell, folder=disk)
    assert said.startswith("mnist-tune: ")
    assert f"cannot be used: {reason}" in said
    assert code == "1"


def test_a_deleted_file_is_not_written_on(tmp_path: Path) -> None:
    engine = open_study_engine(tmp_path)
    with engine.begin() as connection:
        assert connection.execute(WRITE).rowcount == 1
    for file in tmp_path.glob(f"{STORED}*"):
        file.unlink()
    with pytest.raises(sqlalchemy.exc.OperationalError, match="unable to open database file"), engine.begin():
        pass
    assert not (tmp_path / STORED).exists()
    engine.dispose()


def test_a_file_put_in_the_place_of_another_is_the_one_that_is_written(tmp_path: Path) -> None:
    engine = open_study_engine(tmp_path)
    with engine.connect():  # now the pool holds a connection to the first file
        pass
    (tmp_path / "other").mkdir()
    open_study_engine(tmp_path / "other").dispose()
    (tmp_path / "other" / STORED).replace(tmp_path / STORED)
    with engine.begin() as connection:
        assert connection.execute(WRITE).rowcount == 1
    engine.dispose()
    with sqlite3.connect(tmp_path / STORED) as stored:
        assert stored.execute("SELECT library_version FROM version_info").fetchone() == ("written",)


def test_a_name_that_no_file_can_have_is_a_mistake(tmp_path: Path, command: Command) -> None:
    answer = command("studies", "--storage", f"sqlite:///{'long' * 100}.db")
    assert answer.code == 2
    assert answer.err.endswith(".db: File name too long; name another file\n")
