"""Writes files whole or not at all, so that they survive a power cut; opens only regular files."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

TEMPORARY = re.compile(r"(?P<name>.+)\.[0-9a-f]{16}\.tmp")
"""The name of a file that is being written, or that was left by a process that died while writing."""


def write_whole(path: Path, content: bytes | memoryview, mode: int | None = None) -> None:
    """Make `path` a file with this content, and make its folder if it is missing.

    An existing file is replaced, never written into; a link is replaced, and its target stays. The file has
    this mode from its first byte, whatever the umask; without one it has what the umask leaves. Raises
    OSError, and then leaves nothing behind.
    """
    with whole_file(path, mode) as sink:
        sink.write(content)


def write_output(path: Path, content: bytes) -> None:
    """Write a file that a person names: through links, and into devices and pipes such as /dev/stdout.

    Raises OSError.
    """
    if path.exists() and (not path.is_file() or path.absolute().is_relative_to("/dev")):
        with path.open("wb") as sink:
            sink.write(content)
    else:
        write_whole(path.resolve(), content)


@contextmanager
def whole_file(path: Path, mode: int | None = None) -> Iterator[BinaryIO]:
    """A file to write to; it becomes `path` when the block ends well, and is deleted when it does not.

    With a mode it has this one from its first byte.
    """
    make_folder(path.parent)
    # The name cannot be guessed and must be new: a file or link placed there is neither followed nor
    # replaced.
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        opener = partial(os.open, mode=0o666 if mode is None else mode)
        with open(temporary, "xb", opener=opener) as sink:
            if mode is not None:
                os.fchmod(sink.fileno(), mode)  # the umask may have taken the owner's rights too
            yield sink
            sink.flush()
            os.fsync(sink.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    with suppress(OSError):  # not every system can synchronise a folder
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def link_or_copy(source: Path, target: Path) -> None:
    """Give `target` the content of `source`; either may later be deleted or replaced without the other.

    Raises OSError.
    """
    with open_file(source) as content:  # refuses what is not a regular file
        make_folder(target.parent)
        try:
            os.link(source, target)
        except OSError:  # another disk, another user's file, or a file system without links
            with whole_file(target) as sink:
                shutil.copyfileobj(content, sink, 1 << 20)


def open_file(path: Path) -> BinaryIO:
    """Open a regular file to read; refuses links, and whatever would block, such as pipes. Raises OSError."""
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
    """The content of a regular file, opened by `open_file`. Raises OSError."""
    with open_file(path) as source:
        return source.read()


def make_folder(path: Path) -> list[Path]:
    """Make a folder and its parents; returns those that were missing, innermost first. Raises OSError."""
    if path.is_dir():  # nearly always
        return []
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    return missing
