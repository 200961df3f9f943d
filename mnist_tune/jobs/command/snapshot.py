"""A command's checkpoint folder as one file, with the epochs after which it was taken."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path, PurePath

from mnist_tune.jobs.metrics import EpochMetrics, epoch_from

HISTORY = "history.json"
FOLDER = "checkpoints"


UNREADABLE = (
    *(tarfile.TarError, OSError, EOFError, ValueError, OverflowError, RecursionError),
    *(KeyError, TypeError, AttributeError),
)
"""What reading a damaged snapshot raises."""


class SnapshotUnusable(Exception):  # noqa: N818 - an outcome: the trial begins anew
    """A snapshot cannot be unpacked; the message says why."""


def pack(folder: Path, history: Sequence[EpochMetrics], first: int) -> bytes:
    """The folder's files, the epochs until now, and the number that the command gives to its first epoch.

    Raises:
        OSError: a file cannot be read, or a link leads out of the folder.
    """

    def kept(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if member.issym():
            member.linkname = _inner_link(folder, member)
        # Pipes and sockets are no state.
        return member if member.isreg() or member.isdir() or member.issym() or member.islnk() else None

    written = io.BytesIO()
    with tarfile.TarFile(fileobj=written, mode="w", format=tarfile.PAX_FORMAT) as archive:
        epochs = json.dumps({"first": first, "epochs": [epoch.as_json() for epoch in history]}).encode()
        head = tarfile.TarInfo(HISTORY)
        head.size = len(epochs)
        archive.addfile(head, io.BytesIO(epochs))
        archive.add(folder, FOLDER, filter=kept)
    return written.getvalue()


def unpack(content: bytes, folder: Path) -> tuple[list[EpochMetrics], int]:
    """Put the files into the folder, which exists and is empty; returns the epochs and the first's number.

    Nothing is written outside the folder, whatever the names in the snapshot are.

    Raises:
        SnapshotUnusable: it cannot be read, or the files cannot be written.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:  # it is not compressed
            head = archive.next()
            epochs = archive.extractfile(head) if head is not None and head.name == HISTORY else None
            if epochs is None:
                raise SnapshotUnusable("the saved state is none of a command")
            known = json.load(epochs)
            history, first = [epoch_from(epoch) for epoch in known["epochs"]], int(known["first"])
            files = [member for member in archive if member.name.startswith(f"{FOLDER}/")]
            for member in files:
                member.name = member.name.removeprefix(f"{FOLDER}/")
                if member.islnk():  # a file with two names; the link is the other one
                    member.linkname = member.linkname.removeprefix(f"{FOLDER}/")
            archive.extractall(folder, files, filter="data")
    except UNREADABLE as error:
        raise SnapshotUnusable(f"the saved state cannot be unpacked: {error}") from None
    return history, first


def _inner_link(folder: Path, member: tarfile.TarInfo) -> str:
    """Where a link leads, from its own place, so that it does so in another folder too. Raises OSError."""
    name = PurePath(member.name).relative_to(FOLDER)
    leads_to = os.path.normpath(folder / name.parent / member.linkname)
    if not Path(leads_to).is_relative_to(folder):
        raise OSError(f"the link '{name}' leads out of the folder of checkpoints")
    return os.path.relpath(leads_to, folder / name.parent)
