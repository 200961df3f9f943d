"""Files that are there whole or not at all, and last through a power cut; reading what really is a file."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

TEMPORARY = re.compile(r"(?P<name>.+)\.[0-9a-f]{16}\.tmp")
"""The name of a file that is being written, or that a process left which died over it."""


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Make `path` a file with this content, and its folder if need be.

    Whatever has that name is replaced, never written into: a link goes, what it leads to stays. Raises
    OSError, and then leaves nothing.
    """
    with whole_file(path) as sink:
        sink.write(content)


def write_output(path: Path, content: bytes) -> None:
    """The same for a file that a person names: through links, and into what is no file, as /dev/stdout is.

    Raises OSError.
    """
    if path.exists() and (not path.is_file() or path.absolute().is_relative_to("/dev")):
        with path.open("wb") as sink:
            sink.write(content)
    else:
        write_whole(path.resolve(), content)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write to that gets the name `path` when the block ends well, and goes when it does not."""
    make_folder(path.parent)
    # A name that nobody can foresee, made anew: what lies in wait under it is neither followed nor replaced.
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as sink:
            yield sink
            sink.flush()
            os.fsync(sink.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    with suppress(OSError):  # not every system lets a folder be synchronised
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def link_or_copy(source: Path, target: Path) -> None:
    """Give `target` the content of `source`, as a file of its own: each may be deleted or replaced alone.

    Raises OSError.
    """
    with open_file(source) as content:  # which refuses what is no file
        make_folder(target.parent)
        try:
            os.link(source, target)
        except OSError:  # another disk, a file of somebody else, a file system without links
            with whole_file(target) as sink:
                shutil.copyfileobj(content, sink, 1 << 20)


def open_file(path: Path) -> BinaryIO:
    """Open a file to read: no link, and nothing that would make us wait, as a pipe does. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a link, not a file", str(path)) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def read_file(path: Path) -> bytes:
    """The content of a file, as `open_file` opens it. Raises OSError."""
    with open_file(path) as source:
        return source.read()


def make_folder(path: Path) -> list[Path]:
    """Make a folder and those above it; which of them were not there, the innermost first. Raises OSError."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    return missing
