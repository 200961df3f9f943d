"""Studies that are copied from a head, to a head, and between two heads, with their files."""

from __future__ import annotations

import io
import socket
import tarfile
from pathlib import Path

import pytest

from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.files.locations import Folders
from mnist_tune.serve.copying import Side, copied
from mnist_tune.study.exchange import ABOUT, pack
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.verification import verify
from tests.support.head_processes import HeadProcess
from tests.support.heads import running_head
from tests.support.studies import folders, new_study, open_file, opened_file, states, take
from tests.support.study_files import fill_with_files
from tests.support.waiting import wait_until


@pytest.fixture
def study(tmp_path: Path) -> OpenStudy:
    """A study with weights, logs and a state, of which one cell runs."""
    made = new_study(tmp_path / "here")
    fill_with_files(made, folders(tmp_path / "here"))
    take(made.queue())
    return made


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()


def side(folder: Path) -> Side:
    """A database in a folder, with its files there."""
    return Side.named(f"sqlite:///{folder}/studies.db", "--to", folder / "checkpoints", folder / "artifacts")


def files_in(places: Folders) -> int:
    return sum(path.is_file() for place in places for path in place.path.rglob("*"))


def findings(folder: Path, name: str) -> list[str]:
    """The promises that a study in this folder breaks."""
    places = folders(folder)
    checked = verify(open_file(folder), name, places.artifacts.path, places.checkpoints.path)
    return [str(outcome) for outcome in checked.broken]


@pytest.mark.parametrize("by", ["from a head", "to a head", "between heads"])
def test_a_copy_by_a_head_is_the_copy_that_is_made_without_one(
    study: OpenStudy, tmp_path: Path, by: str
) -> None:
    here, there, beside = (tmp_path / name for name in ("here", "there", "beside"))
    beside.mkdir()
    expected = copied("tiny", side(here), side(beside), None)
    open_file(there, create=True)
    with running_head(open_file(here), here) as from_head, running_head(open_file(there), there) as to_head:
        source = side(here) if by == "to a head" else Side(from_head, None)
        target = side(there) if by == "from a head" else Side(to_head, None)
        assert copied("tiny", source, target, None) == expected
        with pytest.raises(UserError, match="has a study 'tiny' already"):
            copied("tiny", source, target, None)
        assert copied("tiny", source, target, "again").name == "again"
    copy = opened_file(there / "studies.db", "tiny")
    assert states(copy) == states(opened_file(beside / "studies.db", "tiny"))
    assert files_in(folders(there)) == 2 * files_in(folders(beside)) > 0
    assert findings(there, "tiny") == findings(there, "again") == []
    assert not list(tmp_path.rglob(".mnist-tune-copy-*"))


def test_what_a_head_leaves_that_is_killed_within_a_copy_is_removed_at_its_next_start(
    study: OpenStudy, tmp_path: Path
) -> None:
    here = tmp_path / "here"
    with HeadProcess(f"sqlite:///{here}/studies.db", here) as head:
        query = f"/api/v1/copies?sha256={'0' * 64}"
        with socket.create_connection(("127.0.0.1", head.port)) as connection:
            connection.sendall(
                f"PUT {query} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n"
                "Content-Type: application/octet-stream\r\n\r\nbegun".encode()
            )
            wait_until(lambda: any(path.name != ".lock" for path in here.glob(".mnist-tune-copy-*/*")))
            head.kill()
        assert any(here.glob(".mnist-tune-copy-*"))
        head.start()
        head.wait_until_it_answers()
        assert not any(here.glob(".mnist-tune-copy-*"))


def test_a_study_that_is_not_there_is_one_line(study: OpenStudy, tmp_path: Path) -> None:
    with (
        running_head(study.storage, tmp_path / "here") as head,
        pytest.raises(UserError, match=r"no study 'tony' in this storage; .*tiny"),
    ):
        copied("tony", Side(head, None), side(tmp_path / "there"), None)
    with pytest.raises(UserError, match="name no folders"):
        Side.named("http://localhost:8080", "--to", tmp_path, None)


def sparse_archive() -> io.BytesIO:
    """An archive of a few bytes whose one member says that it has a terabyte of nothing."""
    member = tarfile.TarInfo("study.db")
    member.type = tarfile.GNUTYPE_SPARSE
    block = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    block[483:495] = b"\x80" + (1 << 40).to_bytes(11)  # a number that is too large for octal digits
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % sum(block)
    return io.BytesIO(bytes(block) + bytes(1024))


def archive_with(
    name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, pax: dict[str, str] | None = None
) -> io.BytesIO:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as members:
        member = tarfile.TarInfo(name)
        member.pax_headers = pax or {}
        member.type, member.size, member.linkname = kind, len(content), "/etc/passwd"
        members.addfile(member, io.BytesIO(content))
    made.seek(0)
    return made


@pytest.mark.parametrize(
    "archive",
    [
        io.BytesIO(b""),
        io.BytesIO(b"no archive" * 100),
        archive_with("../study.db"),
        archive_with("/etc/cron.d/x", b"x"),
        archive_with("artifacts/../../x", b"x"),
        archive_with("study.db", kind=tarfile.SYMTYPE),
        archive_with("study.db", kind=tarfile.FIFOTYPE),
        archive_with("study.db", b"no database" * 1000),
        archive_with(ABOUT, b"many"),
        sparse_archive(),
        archive_with("study.db", pax={"GNU.sparse.size": "x", "GNU.sparse.major": "1"}),
    ],
    ids=[
        *("empty", "rubbish", "up", "absolute", "up below", "link", "pipe", "no database", "no study"),
        *("a terabyte of nothing", "no size"),
    ],
)
def test_what_is_no_copy_is_refused_and_leaves_nothing(tmp_path: Path, archive: io.BytesIO) -> None:
    there = tmp_path / "there"
    open_file(there, create=True)
    with running_head(open_file(there), there) as head:
        archive.seek(0)
        with pytest.raises(MnistTuneError, match="no copy of a study"):
            Side(head, None).studies().copy_in(archive)
        assert Side(head, None).studies().study_names() == []
    assert files_in(folders(there)) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"here", "there"}
    assert not list(tmp_path.rglob(".mnist-tune-copy-*"))


def test_a_changed_copy_spoils_itself_alone(study: OpenStudy, tmp_path: Path) -> None:
    with pack(study, folders(tmp_path / "here")) as archive:
        cut = io.BytesIO(archive.read()[:20_000])
    target = side(tmp_path / "there").studies(create=True)
    with pytest.raises(MnistTuneError, match="no copy of a study"):
        target.copy_in(cut)
    assert target.study_names() == []
