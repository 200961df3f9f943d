"""The cores of this machine, as far as this process may use them. No torch here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

PROCESS = Path("/proc/self")
"""What Linux says of this process."""


def usable_cores() -> int:
    """The cores this process may use, of which a container may have fewer than the machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *map(round, _quotas())]))


def _quotas() -> Iterator[float]:
    """The CPU time, in cores, that each control group is limited to which holds this process.

    A group may be in others with limits of their own: see cgroups(7).
    """
    try:
        groups = (PROCESS / "cgroup").read_text(encoding="utf-8").splitlines()
        mounts = (PROCESS / "mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # another system
        return
    for line in mounts:
        # ID, parent, device, root, where it is mounted, options, ... - type, source, options
        place, _, kind = line.partition(" - ")
        root, mounted = (field.replace("\\040", " ") for field in place.split()[3:5])
        version, _, *options = kind.split()
        is_of_v2 = version == "cgroup2"
        if not is_of_v2 and not (version == "cgroup" and "cpu" in options[-1].split(",")):
            continue
        for group in groups:
            _, controllers, path = group.split(":", 2)
            if "cpu" in controllers.split(",") or (is_of_v2 and not controllers):
                for folder in _upwards(Path(mounted), root, path):
                    yield from _quota(folder)


def _upwards(mounted: Path, root: str, path: str) -> Iterator[Path]:
    """The folders of the group at `path` and of those that it is in, as far as they can be seen."""
    inside = os.path.relpath(path, root)
    group = mounted if inside.startswith("..") else mounted / inside  # a container sees its own as the root
    for folder in (group, *group.parents):
        yield folder
        if folder == mounted:
            return


def _quota(folder: Path) -> Iterator[float]:
    """The limit of one group, in the files of either version, if it has one."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        else:
            quota, period = (
                (folder / f"cpu.cfs_{what}_us").read_text(encoding="ascii") for what in ("quota", "period")
            )
        if int(quota) > 0:  # -1 is none
            yield int(quota) / int(period)
    except (OSError, ValueError):  # the topmost group has no such file; "max" is none
        return
