"""The number of CPU cores that this process may use. This module does not import torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

PROCESS = Path("/proc/self")
"""The folder in which Linux describes this process."""


def usable_cores() -> int:
    """The number of cores that this process may use; a container may have fewer than its machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *map(round, _quotas())]))


def _quotas() -> Iterator[float]:
    """The limits of CPU time, in cores, of all control groups that hold this process.

    A group may be in other groups with limits of their own: see cgroups(7).
    """
    try:
        groups = (PROCESS / "cgroup").read_text(encoding="utf-8").splitlines()
        mounts = (PROCESS / "mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return
    for line in mounts:
        # ID, parent, device, root, mount point, options, ... - type, source, options
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
    """The folders of the group at `path` and of the groups that it is in, as far as they can be seen."""
    inside = os.path.relpath(path, root)
    group = mounted if inside.startswith("..") else mounted / inside  # a container sees its group as the root
    for folder in (group, *group.parents):
        yield folder
        if folder == mounted:
            return


def _quota(folder: Path) -> Iterator[float]:
    """The limit of one group in cores, from the files of cgroup version 1 or 2, if it has one."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        else:
            quota, period = (
                (folder / f"cpu.cfs_{what}_us").read_text(encoding="ascii") for what in ("quota", "period")
            )
        if int(quota) > 0:  # -1 means no limit
            yield int(quota) / int(period)
    except (OSError, ValueError):  # the topmost group has no such file; "max" means no limit
        return
