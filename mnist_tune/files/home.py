"""Folders of the user's own. In a container he may be a mere number, without a home."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from mnist_tune.errors import UserError


def user_folder(kind: Literal["cache", "data"], instead: str) -> Path:
    """Our folder among the user's.

    Raises:
        UserError: he has none; `instead` is what he may name to do without.
    """
    import platformdirs  # here, so that a machine with torch alone can train from a folder it names

    find = {"cache": platformdirs.user_cache_path, "data": platformdirs.user_data_path}[kind]
    try:
        folder = find("mnist-tune")
    except RuntimeError:
        folder = Path("~")
    if not folder.is_absolute():  # what older versions of it make of a home that is not there
        raise UserError(f"this user has no home directory; set HOME, or name a folder with {instead}")
    return folder


def expanded(path: Path) -> Path:
    """A path that a person wrote, with the home that ~ stands for.

    Raises:
        UserError: there is none.
    """
    try:
        return path.expanduser()
    except RuntimeError:
        raise UserError(f"{path}: {path.parts[0]} has no home directory; write the whole path") from None
