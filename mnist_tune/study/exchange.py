"""A study with its files as one archive, for copies from and to a head.

The archive holds an SQLite database with a copy of the study, and the files of this copy. What is read from
one is checked as what is read from any database; its members have names of our own forms, or are refused.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from mnist_tune.errors import MnistTuneError
from mnist_tune.files.atomic_write import whole_file
from mnist_tune.files.locations import Folder, Folders
from mnist_tune.files.own_folder import clear_up, own_folder
from mnist_tune.files.stored_names import ARTIFACT_ID, CHECKPOINT_KEY, UID
from mnist_tune.files.writable import nearest
from mnist_tune.jobs.hyperparameters import Count
from mnist_tune.storage.guarded import open_storage
from mnist_tune.study.copy import Copied, copy_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import open_study, study_names

DATABASE = "study.db"
ABOUT = "about.json"
LONGEST_ABOUT = 1000
"""In bytes."""
MEMBER = re.compile(
    f"{re.escape(DATABASE)}|{re.escape(ABOUT)}|artifacts/{ARTIFACT_ID.pattern}"
    f"|checkpoints/{UID.pattern}/{CHECKPOINT_KEY.pattern}"
)
PREFIX = ".mnist-tune-copy-"
NO_ARCHIVE = "this is no copy of a study that mnist-tune has made"


class About(BaseModel):
    """What an archive says of the study that was copied into it."""

    trials: Count
    put_back: Count


def pack(study: OpenStudy, folders: Folders) -> BinaryIO:
    """The study as an archive, which begins at its first byte and is gone when it is closed.

    Raises:
        MnistTuneError: the study was deleted meanwhile, or a file or a value of it cannot be copied.
    """
    with _beside(folders) as folder:
        copied = copy_study(study, _database(folder), None, folders, _folders(folder))
        with closing(sqlite3.connect(folder / DATABASE)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # else the file alone would not be all
        archive: BinaryIO = tempfile.TemporaryFile(dir=folder.parent)  # noqa: SIM115 - the caller closes it
        with tarfile.TarFile(fileobj=archive, mode="w") as members:
            said = About(trials=copied.trials, put_back=copied.put_back).model_dump_json().encode()
            about = tarfile.TarInfo(ABOUT)
            about.size = len(said)
            members.addfile(about, BytesIO(said))
            for path in sorted(folder.rglob("*")):
                name = path.relative_to(folder).as_posix()
                if MEMBER.fullmatch(name):
                    members.add(path, name, recursive=False)
    archive.seek(0)
    return archive


def unpack(archive: BinaryIO, url: URL, name: str | None, folders: Folders) -> Copied:
    """Copy the study of an archive into the storage at `url`, under its own or another name.

    Raises:
        UserError: the target cannot be used or has a study of that name, or `name` is not allowed.
        MnistTuneError: it is no such archive, or it is damaged.
    """
    with _beside(folders) as folder:
        _extract(archive, folder)
        try:
            with (folder / ABOUT).open("rb") as said:
                about = About.model_validate_json(said.read(LONGEST_ABOUT))
            storage = open_storage(_database(folder))
            (its_name,) = study_names(storage)
            study = open_study(storage, its_name)
        except (MnistTuneError, SQLAlchemyError, OSError, ValueError) as error:
            raise MnistTuneError(f"{NO_ARCHIVE}: {type(error).__name__}") from None
        copied = copy_study(study, url, name, _folders(folder), folders)
    return copied._replace(trials=about.trials, put_back=about.put_back)


def _extract(archive: BinaryIO, folder: Path) -> None:
    left = archive.seek(0, os.SEEK_END)  # what is in it has no more bytes than it has itself
    archive.seek(0)
    try:
        with tarfile.open(fileobj=archive, mode="r:") as members:
            for member in members:
                is_plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()
                left -= member.size
                if not is_plain or left < 0 or not MEMBER.fullmatch(member.name):
                    raise MnistTuneError(f"{NO_ARCHIVE}: it holds something else")
                content = members.extractfile(member)
                assert content is not None  # it is a regular file
                with whole_file(folder / member.name) as sink:
                    shutil.copyfileobj(content, sink, 1 << 20)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise MnistTuneError(f"{NO_ARCHIVE}: {type(error).__name__}") from None
    except OSError as error:
        raise MnistTuneError(f"{folder.parent}: the copy has no room: {error.strerror or error}") from None


def clear_up_copies(folders: Folders) -> None:
    """Remove what processes have left that were killed while they made a copy."""
    clear_up(nearest(folders.artifacts.path.parent), PREFIX)


@contextmanager
def _beside(folders: Folders) -> Iterator[Path]:
    """A folder on the disk of the files, so that links to them can be made; it is gone after the block."""
    with own_folder(nearest(folders.artifacts.path.parent), PREFIX) as folder:
        yield folder


def _database(folder: Path) -> URL:
    return URL.create("sqlite", database=str(folder / DATABASE))


def _folders(folder: Path) -> Folders:
    return Folders(Folder(folder / "checkpoints"), Folder(folder / "artifacts"))
