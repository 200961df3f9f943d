"""A command's checkpoint folder as one file: what comes back of it, and what a hostile one can do."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from mnist_tune.jobs.command.snapshot import HISTORY, SnapshotUnusable, pack, unpack


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A folder with a file in it, and one to unpack into."""
    saved, again = tmp_path / "saved", tmp_path / "again"
    (saved / "steps").mkdir(parents=True)
    again.mkdir()
    (saved / "steps" / "one").write_text("a state", encoding="utf-8")
    return saved, again


def test_links_between_files_of_the_folder_come_back(folders: tuple[Path, Path]) -> None:
    saved, again = folders
    (saved / "absolute").symlink_to(saved / "steps" / "one")
    (saved / "relative").symlink_to("steps/one")
    (saved / "steps" / "up").symlink_to("../relative")
    (saved / "hard").hardlink_to(saved / "steps" / "one")
    assert unpack(pack(saved, [], 0), again) == ([], 0)
    (saved / "steps" / "one").unlink()  # no link leads there
    for name in ("absolute", "relative", "steps/up", "hard", "steps/one"):
        assert (again / name).read_text(encoding="utf-8") == "a state"


@pytest.mark.parametrize("leads_to", ["/etc/passwd", "../outside", "steps/../../outside"])
def test_a_link_that_leads_out_of_the_folder_is_refused_when_it_is_saved(
    folders: tuple[Path, Path], leads_to: str
) -> None:
    (folders[0] / "link").symlink_to(leads_to)
    with pytest.raises(OSError, match="the link 'link' leads out of the folder of checkpoints"):
        pack(folders[0], [], 1)


def made(name: str, kind: bytes = tarfile.REGTYPE, linkname: str = "", **pax: str) -> bytes:
    """A snapshot with one more member."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.PAX_FORMAT) as archive:
        head = tarfile.TarInfo(HISTORY)
        known = b'{"first": 1, "epochs": []}'
        head.size = len(known)
        archive.addfile(head, io.BytesIO(known))
        member = tarfile.TarInfo(name)
        member.type, member.linkname, member.pax_headers = kind, linkname, pax
        archive.addfile(member)
    return written.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        made("checkpoints/../../outside"),
        made("checkpoints/link", tarfile.SYMTYPE, "/etc/passwd"),
        made("checkpoints/link", tarfile.SYMTYPE, "../../outside"),
        made("checkpoints/link", tarfile.LNKTYPE, "checkpoints/../../outside"),
        made("checkpoints/device", tarfile.CHRTYPE),
        made("checkpoints/late", mtime="1e300"),
        gzip.compress(made("checkpoints/one")),
        made("checkpoints/one")[:700],
        b"",
        os.urandom(2_000),
    ],
    ids=["up", "link", "link up", "hard link up", "device", "time", "compressed", "torn", "empty", "noise"],
)
def test_a_hostile_or_damaged_snapshot_is_unusable(folders: tuple[Path, Path], content: bytes) -> None:
    (folders[1].parent / "outside").write_text("not to be reached", encoding="utf-8")
    with pytest.raises(SnapshotUnusable):
        unpack(content, folders[1])
    assert (folders[1].parent / "outside").read_text(encoding="utf-8") == "not to be reached"
