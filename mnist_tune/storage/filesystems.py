"""Finds the file system of a path, and whether a network serves it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")

# Types as in MOUNTS, without "fuse.". 9p and virtiofs are left out: they join a guest to its own host (WSL,
# sandboxes, containers in a virtual machine), and some guests have no other file system.
# fmt: off
NETWORK = frozenset({
    "afs", "beegfs", "blobfuse", "blobfuse2", "ceph", "ceph-fuse", "cifs", "coda", "curlftpfs", "davfs",
    "fhgfs", "gcsfuse", "glusterfs", "goofys", "gpfs", "gvfsd-fuse", "juicefs", "lizardfs", "lustre",
    "mfs", "mountpoint-s3", "ncpfs", "nfs", "nfs4", "orangefs", "panfs", "pvfs2", "rclone", "s3fs",
    "seaweedfs", "smb3", "smbfs", "smbnetfs", "sshfs", "wekafs",
})
# fmt: on


def file_system(path: Path) -> str | None:
    """The type of the file system under `path`, or under its folder if it is missing; None if unknown."""
    if sys.platform != "linux":
        return None
    try:
        # man 5 proc: ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAG]... - TYPE SOURCE OPTIONS
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        mounts = {fields[0]: fields[fields.index("-", 6) + 1] for fields in map(str.split, lines)}
        return mounts.get(_mount_id(path))
    except (OSError, ValueError, LookupError):  # a kernel or a sandbox that does not tell
        return None


def network_file_system(path: Path) -> str | None:
    """The type of the file system under `path` if it is served over a network, else None."""
    found = file_system(path)
    return found if found and found.removeprefix("fuse.") in NETWORK else None


def _mount_id(path: Path) -> str:
    """The id of the mount under `path`, from the kernel, which knows what other mounts hide."""
    real = Path(os.path.realpath(path))
    for place in (real, *real.parents):
        try:
            handle = os.open(place, os.O_PATH)  # does not wait for a file server that may be gone
        except OSError:
            continue
        try:
            lines = Path(f"/proc/self/fdinfo/{handle}").read_text(encoding="utf-8").splitlines()
        finally:
            os.close(handle)
        return dict(line.split(":", 1) for line in lines)["mnt_id"].strip()
    raise FileNotFoundError(path)
