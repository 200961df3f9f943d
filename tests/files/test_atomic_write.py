"""Files are written whole or not at all, under temporary names that nobody can predict."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mnist_tune.files.atomic_write import (
    TEMPORARY,
    link_or_copy,
    make_folder,
    open_file,
    read_file,
    write_output,
    write_whole,
)
from tests.support.mount_namespace import run_with_mounts

CODE = Path(__file__).parents[2] / "mnist_tune"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_link_in_the_place_of_the_file_or_of_the_old_temporary_leads_nowhere(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("somebody's own")
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("report", "report.tmp"):
        (folder / name).symlink_to(precious)
    write_whole(folder / "report", b"new")
    assert precious.read_text() == "somebody's own"
    assert not (folder / "report").is_symlink()
    assert read_file(folder / "report") == b"new"


def test_what_is_being_written_has_a_name_of_its_own_that_is_never_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def full(_: int) -> None:
        seen.extend(names(tmp_path))
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    for _ in range(2):
        with pytest.raises(OSError, match="no space left"):
            write_whole(tmp_path / "report", b"new")
    assert len(set(seen)) == 2
    assert all((form := TEMPORARY.fullmatch(name)) and form["name"] == "report" for name in seen)
    assert names(tmp_path) == []


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o377])
def test_a_file_has_the_mode_that_was_asked_for_whatever_the_umask_and_what_was_there(
    tmp_path: Path, mask: int
) -> None:
    (tmp_path / "secret").touch(0o666)
    before = os.umask(mask)
    try:
        write_whole(tmp_path / "secret", b"new", 0o600)
        write_whole(tmp_path / "other", b"new")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("secret", "other")]
    assert modes == [0o600, 0o666 & ~mask]


def test_two_files_of_one_content_are_each_others_no_more_when_one_is_written_again_or_goes(
    tmp_path: Path,
) -> None:
    one, other = tmp_path / "one", tmp_path / "copies" / "other"
    write_whole(one, b"weights")
    link_or_copy(one, other)
    assert one.stat().st_ino == other.stat().st_ino, "it took no room"
    write_whole(one, b"other weights")
    assert read_file(other) == b"weights"
    link_or_copy(one, other)
    one.unlink()
    assert read_file(other) == b"other weights"
    assert names(other.parent) == ["other"]


def test_a_file_on_another_disk_is_copied_whole(tmp_path: Path) -> None:
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
    script = """
from pathlib import Path
from mnist_tune.files.atomic_write import link_or_copy
Path("here/one").write_bytes(b"weights" * 100_000)
link_or_copy(Path("here/one"), Path("there/other"))
(copy,) = Path("there").iterdir()
print(copy.name, copy.read_bytes() == b"weights" * 100_000)
"""
    done = run_with_mounts("mount -t tmpfs none there", script, tmp_path)
    assert done.stdout == "other True\n", done.stderr


def test_only_a_regular_file_is_opened(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", b"content")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    with open_file(tmp_path / "file") as source:
        assert source.read() == b"content"
    for name, why in (("link", "a link"), ("pipe", "not a regular file"), (".", "not a regular file")):
        with pytest.raises(OSError, match=why):
            open_file(tmp_path / name)
        with pytest.raises(OSError, match=why):
            link_or_copy(tmp_path / name, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_what_a_person_names_is_written_through_links_and_into_pipes(tmp_path: Path) -> None:
    (tmp_path / "shown").symlink_to("served")
    write_output(tmp_path / "shown", b"page")
    assert (tmp_path / "shown").is_symlink()
    assert read_file(tmp_path / "served") == b"page"
    script = """
from pathlib import Path
from mnist_tune.files.atomic_write import write_output
write_output(Path("/dev/stdout"), b"page")
"""
    before = os.lstat("/dev/stdout")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout == b"page"
    assert os.lstat("/dev/stdout").st_ino == before.st_ino


def test_the_folders_that_were_made_are_told_from_those_that_were_there(tmp_path: Path) -> None:
    made = make_folder(tmp_path / "a" / "b")
    assert made == [tmp_path / "a" / "b", tmp_path / "a"]
    assert make_folder(tmp_path / "a" / "c") == [tmp_path / "a" / "c"]
    assert make_folder(tmp_path / "a") == []


def test_no_other_code_writes_files_in_a_way_of_its_own() -> None:
    of_our_own = re.compile(
        r"\.write_(text|bytes)\(|\bopen\([^)\d][^)]*\"[wxa]b?\"|\.open\(\"[wxa]|os\.replace|mkstemp|NamedTemporary"
    )
    # A descriptor is no file of ours, nor is the kernel's; a shipped spec must not replace what is there.
    others = ("/proc/", 'target.open("xb")')
    found = [
        f"{path.relative_to(CODE)}: {line.strip()}"
        for path in CODE.rglob("*.py")
        if path.name != "atomic_write.py"
        for line in path.read_text(encoding="utf-8").splitlines()
        if of_our_own.search(line) and not any(other in line for other in others)
    ]
    assert found == []
