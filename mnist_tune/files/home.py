"""Finds folders of the user's own. In a container a user may be a number without a home."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from mnist_tune.errors import UserError


def user_folder(kind: Literal["cache", "data"], instead: str, what: str = "folder") -> Path:
    """Our folder in the user's folder for caches or data.

    Raises:
        UserError: the user has no home; `instead` says what to set, to name `what`, to do without.
    """
    import platformdirs  # here: to train from a named folder, torch alone is enough

    find = {"cache": platformdirs.user_cache_path, "data": platformdirs.user_data_path}[kind]
    try:
        folder = find("mnist-tune")
    except RuntimeError:
        folder = Path("~")
    if not folder.is_absolute():  # older versions of platformdirs return this for a missing home
        raise UserError(f"this user has no home directory; set HOME, or name a {what} with {instead}")
    return folder


def expanded(path: Path) -> Path:
    """A path that a person wrote, with ~ replaced by the home directory.

    Raises:
        UserError: there is no such home directory.
    """
    try:
        return path.expanduser()
    except RuntimeError:
        raise UserError(f"{path}: {path.parts[0]} has no home directory; write the whole path") from None
