"""The CPU time that control groups leave to this process, in either version and at any depth."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnist_tune.hardware import cores
from mnist_tune.hardware.cores import usable_cores

GROUPS = Path("/sys/fs/cgroup/cpu")


class Linux:
    """The files that the kernel would show for a process in a group."""

    def __init__(self, folder: Path, mount: str, groups: str) -> None:
        self.folder = folder / "control groups"
        process = folder / "self"
        process.mkdir()
        place = str(self.folder).replace(" ", "\\040")
        around = "30 23 0:27 / /proc rw - proc proc rw\n"
        (process / "mountinfo").write_text(around + mount.format(place=place) + "\n", encoding="utf-8")
        (process / "cgroup").write_text(groups, encoding="utf-8")
        self.process = process

    def group(self, path: str, **files: str) -> None:
        """Make a group with these files, dots for underscores."""
        folder = self.folder / path
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name.replace("_", ".", 1)).write_text(content + "\n", encoding="ascii")


V2 = "31 23 0:28 {root} {{place}} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate"
V1 = "32 23 0:29 {root} {{place}} rw - cgroup cgroup rw,cpu,cpuacct"
MEMORY_V1 = "33 23 0:30 / {place} rw - cgroup cgroup rw,memory"


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


def usable(monkeypatch: pytest.MonkeyPatch, linux: Linux) -> int:
    monkeypatch.setattr(cores, "PROCESS", linux.process)
    return usable_cores()


@pytest.mark.parametrize(
    ("here", "above", "usable_there"),
    [
        ("max 100000", "max 100000", 8),
        ("200000 100000", "max 100000", 2),
        ("max 100000", "300000 100000", 3),  # the limit of the group around it
        ("600000 100000", "250000 50000", 5),
        ("10000 100000", "max 100000", 1),  # less than a core
        ("1600000 100000", "max 100000", 8),  # more than there are
    ],
)
def test_a_nested_group_has_its_own_limit_and_those_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: str, above: str, usable_there: int
) -> None:
    linux = Linux(tmp_path, V2.format(root="/"), "0::/user.slice/job.scope\n")
    linux.group("user.slice/job.scope", cpu_max=here)
    linux.group("user.slice", cpu_max=above)
    assert usable(monkeypatch, linux) == usable_there


def test_a_container_that_sees_its_own_group_as_the_root_has_that_groups_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linux = Linux(tmp_path, V2.format(root="/"), "0::/\n")
    linux.group("", cpu_max="400000 100000")
    assert usable(monkeypatch, linux) == 4


@pytest.mark.parametrize(("quota", "usable_there"), [("-1", 8), ("350000", 4), ("100000", 1)])
def test_a_group_of_the_first_version_has_a_limit_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, usable_there: int
) -> None:
    linux = Linux(tmp_path, V1.format(root="/docker/1f"), "5:memory:/\n4:cpu,cpuacct:/docker/1f\n0::/other\n")
    linux.group("", cpu_cfs_quota_us=quota, cpu_cfs_period_us="100000")
    assert usable(monkeypatch, linux) == usable_there


def test_groups_of_other_things_and_other_systems_limit_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linux = Linux(tmp_path, MEMORY_V1, "5:memory:/\n0::/\n")
    linux.group("", cpu_max="100000 100000")
    assert usable(monkeypatch, linux) == 8
    monkeypatch.setattr(cores, "PROCESS", tmp_path / "nothing")
    assert usable_cores() == 8


@pytest.fixture
def group_of_half_a_core() -> Iterator[Path]:
    """A real control group of the first version."""
    group = GROUPS / f"mnist-tune-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"cannot make a control group here: {error}")
    try:
        (group / "cpu.cfs_quota_us").write_text("50000")
        yield group
    finally:
        group.rmdir()


def test_a_real_group_is_seen(group_of_half_a_core: Path) -> None:
    script = "from mnist_tune.hardware.cores import usable_cores; print(usable_cores())"
    join = f'echo $$ > {group_of_half_a_core}/cgroup.procs; exec "$0" -c "$1"'
    answer = subprocess.run(
        ["sh", "-ec", join, sys.executable, script], capture_output=True, text=True, check=True
    )
    assert answer.stdout == "1\n"
