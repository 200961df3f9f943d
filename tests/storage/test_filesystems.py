"""The file system of a path; SQLite on a network's file system is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.storage import filesystems
from mnist_tune.storage.filesystems import file_system, network_file_system
from tests.support.commands import Command
from tests.support.mount_namespace import run_with_mounts
from tests.support.specs import write_spec
from tests.support.studies import new_study

pytestmark = pytest.mark.skipif(not filesystems.MOUNTS.exists(), reason="Linux says where what is mounted")

MOUNT = "{mount} 28 0:52 / /mnt/my\\040disk rw,noatime {tags}- {type} server:/my\\040export rw,vers=4.2"
DEAD_SSHFS = (
    "mkdir -p far && exec 3<>/dev/fuse && "
    "mount --internal-only -t fuse.sshfs -o fd=3,rootmode=40000,user_id=0,group_id=0 far far && exec 3<&-"
)
"""A real mount of a file server that is gone and no longer answers."""


needs_fuse = pytest.mark.skipif(not Path("/dev/fuse").exists(), reason="no FUSE here")


def say_that_all_is(type_: str, folder: Path, monkeypatch: pytest.MonkeyPatch, tags: str = "") -> None:
    """Replace the kernel's list by one in which the mount under `folder` is of this type."""
    mount = filesystems._mount_id(folder)
    others = ["1 0 8:1 / / rw - ext4 /dev/root rw", "2 1 0:9 / /proc rw shared:5 - proc proc rw"]
    listed = folder / "mountinfo"
    listed.write_text(
        "\n".join([*others, MOUNT.format(mount=mount, tags=tags, type=type_)]), encoding="utf-8"
    )
    monkeypatch.setattr(filesystems, "MOUNTS", listed)


@pytest.mark.parametrize("tags", ["", "shared:12 ", "shared:12 master:3 propagate_from:2 "])
def test_the_type_stands_behind_any_number_of_tags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tags: str
) -> None:
    say_that_all_is("nfs4", tmp_path, monkeypatch, tags)
    assert file_system(tmp_path / "studies.db") == "nfs4"


@pytest.mark.parametrize("type_", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "fuse.glusterfs", "lustre"])
def test_what_a_network_serves_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, type_: str) -> None:
    say_that_all_is(type_, tmp_path, monkeypatch)
    assert network_file_system(tmp_path) == type_


@pytest.mark.parametrize("type_", ["ext4", "btrfs", "overlay", "tmpfs", "fuse.encfs", "virtiofs", "9p"])
def test_what_one_machine_keeps_is_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, type_: str
) -> None:
    say_that_all_is(type_, tmp_path, monkeypatch)
    assert file_system(tmp_path) == type_
    assert network_file_system(tmp_path) is None


def test_what_is_missing_will_lie_where_its_folder_lies() -> None:
    assert file_system(Path("/proc/nothing/at/all")) == "proc"


def test_a_link_lies_where_it_points(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/proc/nothing")
    assert file_system(tmp_path / "link" / "studies.db") == "proc"


@pytest.mark.parametrize("listed", ["", "nonsense\n", "1 0 8:1 / / rw - ext4 /dev/root rw\n", None])
def test_where_the_system_does_not_tell_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: str | None
) -> None:
    monkeypatch.setattr(filesystems, "MOUNTS", tmp_path / "mountinfo")
    if listed is not None:
        (tmp_path / "mountinfo").write_text(listed, encoding="utf-8")
    assert file_system(tmp_path) is None
    assert network_file_system(tmp_path) is None


@pytest.mark.parametrize(
    "line",
    [
        "status tiny",
        "worker tiny",
        "studies",
        "export tiny",
        "delete-study tiny --yes",
        "create-study spec.toml",
    ],
)
def test_a_database_on_a_network_file_system_is_refused_by_every_command(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    new_study(tmp_path)
    write_spec(tmp_path)
    say_that_all_is("nfs4", tmp_path, monkeypatch)
    url = f"sqlite:///{tmp_path}/studies.db"
    answer = command(*line.split())
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        f"mnist-tune: {url}: lies on a network file system (nfs4), where SQLite loses writes; "
        "name a file on a local disk, or use PostgreSQL for several machines\n"
    )


@needs_fuse
def test_a_real_mount_is_found_also_when_its_server_is_gone(tmp_path: Path) -> None:
    script = """
from pathlib import Path
from mnist_tune.storage.engine import open_engine, storage_url
from mnist_tune.errors import UserError
try:
    open_engine(storage_url("sqlite:///far/studies.db"))
except UserError as error:
    print(error)
"""
    done = run_with_mounts(DEAD_SSHFS, script, tmp_path)
    assert "far/studies.db: lies on a network file system (fuse.sshfs)" in done.stdout, done.stderr


@needs_fuse
def test_a_mount_that_a_later_one_covers_counts_no_more(tmp_path: Path) -> None:
    script = "from mnist_tune.storage.filesystems import *; print(file_system(Path('far')))"
    covered = f"{DEAD_SSHFS}\nmount -t tmpfs none {tmp_path}\nmkdir {tmp_path}/far"
    done = run_with_mounts(covered, script, tmp_path)
    assert done.stdout == "tmpfs\n", done.stderr


def test_a_mount_point_may_have_any_name(tmp_path: Path) -> None:
    (tmp_path / "a disk\tof \nmine").mkdir()
    script = "from mnist_tune.storage.filesystems import *; print(*map(file_system, Path().iterdir()))"
    done = run_with_mounts("mount -t tmpfs none ./*mine", script, tmp_path)
    assert done.stdout == "tmpfs\n", done.stderr
