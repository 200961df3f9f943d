"""Finds the files beside a storage: the folders of checkpoints and artifacts, and the tokens of its head."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from sqlalchemy.engine import URL

from mnist_tune.errors import UserError
from mnist_tune.files.atomic_write import open_file
from mnist_tune.files.checkpoints import CheckpointFolder
from mnist_tune.files.home import expanded, user_folder
from mnist_tune.files.stored_names import inside

SQLITE_FILE = b"SQLite format 3\0"


@dataclass(frozen=True)
class Folder:
    """The folder for one kind of file, shared by all studies of a storage."""

    path: Path
    is_default: bool = False
    """Whether we have named the folder, so that it is removed when empty; a person's folder stays."""
    shared_with: tuple[str, ...] = ()
    """Other databases that used this folder in version 0.5.0, so that the owner of a file is unknown."""

    def clear_up(self) -> None:
        """Remove the folder if we have named it and it is empty. Raises OSError."""
        if self.is_default and self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()


class Folders(NamedTuple):
    """Where a storage keeps the files of its studies."""

    checkpoints: Folder
    artifacts: Folder

    @classmethod
    def of(cls, url: URL, checkpoints: Path | None = None, artifacts: Path | None = None) -> Self:
        """The folders that the options name, else the environment, else defaults for the storage at `url`."""
        return cls(_folder("checkpoints", url, checkpoints), _folder("artifacts", url, artifacts))


def tokens_file(url: URL, option: Path | None = None) -> Path:
    """The file of the tokens for the head of the storage at `url`; all of a user's PostgreSQL share one.

    Raises:
        UserError: the folder of the SQLite file is missing, or the user has no home.
    """
    named = option or os.environ.get("MNIST_TUNE_TOKENS")
    if named:
        return expanded(Path(named)).absolute()
    if url.drivername != "sqlite":
        return user_folder("data", "--tokens or $MNIST_TUNE_TOKENS", "file") / "tokens"
    file = Path(url.database or "").absolute()
    if not file.parent.is_dir():
        raise UserError(f"{file}: the folder {file.parent} does not exist; correct --storage, or create it")
    return file.with_name(f"{file.name}.tokens")


def checkpoints_of(uid: str, folder: Folder) -> CheckpointFolder:
    """The checkpoints of the study with this uid."""
    return CheckpointFolder(
        inside(folder.path, uid),
        parent=folder.path if folder.is_default else None,
        keeps=bool(folder.shared_with),
    )


def _folder(kind: str, url: URL, option: Path | None) -> Folder:
    named = option or os.environ.get(f"MNIST_TUNE_{kind.upper()}")
    if named:
        return Folder(expanded(Path(named)).absolute())
    if url.drivername == "sqlite":  # beside the database's file, so that both are moved together
        return _beside(Path(url.database or "").absolute(), kind)
    own = user_folder("data", f"--{kind} or $MNIST_TUNE_{kind.upper()}")
    return Folder(own / kind, is_default=True)


def _beside(file: Path, kind: str) -> Folder:
    """The folder beside a database, named after the whole file name, so that s.db and s.backup differ.

    A folder that 0.5.0 named after the stem alone is used where it exists.
    """
    path = file.with_name(f"{file.name}.{kind}")
    older = file.with_name(f"{file.stem}-{kind}")
    if path.exists() or not older.is_dir() or not file.exists():
        return Folder(path, is_default=True)
    return Folder(older, is_default=True, shared_with=_namesakes(file))


def _namesakes(file: Path) -> tuple[str, ...]:
    """The other SQLite databases beside this one whose names differ in the last suffix only."""
    return tuple(
        sorted(
            other.name
            for other in file.parent.iterdir()
            if other.stem == file.stem and other.name != file.name and _is_database(other)
        )
    )


def _is_database(file: Path) -> bool:
    try:
        with open_file(file.resolve()) as content:
            return content.read(len(SQLITE_FILE)) == SQLITE_FILE
    except OSError:
        return False
