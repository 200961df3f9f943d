"""Where the files beside a storage lie: checkpoints and artifacts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from sqlalchemy.engine import URL

from mnist_tune.files.atomic_write import open_file
from mnist_tune.files.checkpoints import CheckpointFolder
from mnist_tune.files.home import expanded, user_folder
from mnist_tune.files.stored_names import inside

SQLITE_FILE = b"SQLite format 3\0"


@dataclass(frozen=True)
class Folder:
    """The folder of one kind of file, of all studies of a storage."""

    path: Path
    is_default: bool = False
    """We have named it and make it, so that it goes when it is empty; one that a person names stays."""
    shared_with: tuple[str, ...] = ()
    """Other databases for which version 0.5.0 had this folder: whose a file is cannot be known."""

    def clear_up(self) -> None:
        """Remove it if it is ours and empty. Raises OSError."""
        if self.is_default and self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()


class Folders(NamedTuple):
    """Where the files of a storage's studies lie."""

    checkpoints: Folder
    artifacts: Folder

    @classmethod
    def of(cls, url: URL, checkpoints: Path | None = None, artifacts: Path | None = None) -> Self:
        """What the options name, else the environment, else a default for the storage at `url`."""
        return cls(_folder("checkpoints", url, checkpoints), _folder("artifacts", url, artifacts))


def checkpoints_of(uid: str, folder: Folder) -> CheckpointFolder:
    """The checkpoints of the study of this uid."""
    return CheckpointFolder(
        inside(folder.path, uid),
        parent=folder.path if folder.is_default else None,
        keeps=bool(folder.shared_with),
    )


def _folder(kind: str, url: URL, option: Path | None) -> Folder:
    named = option or os.environ.get(f"MNIST_TUNE_{kind.upper()}")
    if named:
        return Folder(expanded(Path(named)).absolute())
    if url.drivername == "sqlite":  # beside the file: it goes where the studies go
        return _beside(Path(url.database or "").absolute(), kind)
    own = user_folder("data", f"--{kind} or $MNIST_TUNE_{kind.upper()}")
    return Folder(own / kind, is_default=True)


def _beside(file: Path, kind: str) -> Folder:
    """Named after the whole file, so that s.db and s.backup have two; as 0.5.0 named it if that is there."""
    path = file.with_name(f"{file.name}.{kind}")
    older = file.with_name(f"{file.stem}-{kind}")
    if path.exists() or not older.is_dir() or not file.exists():
        return Folder(path, is_default=True)
    return Folder(older, is_default=True, shared_with=_namesakes(file))


def _namesakes(file: Path) -> tuple[str, ...]:
    """The other SQLite databases beside it whose names differ in their last suffix only."""
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
