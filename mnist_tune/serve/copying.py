"""Copies a study between two storages, of which either may be a database or a head."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sqlalchemy.engine import URL

from mnist_tune.errors import UserError
from mnist_tune.files.locations import Folders
from mnist_tune.serve.address import HeadAddress, is_head
from mnist_tune.serve.client import Head
from mnist_tune.serve.remote_studies import RemoteStudies
from mnist_tune.service.calls import StudiesForPeople
from mnist_tune.service.direct import DirectStudies
from mnist_tune.storage.engine import parse_url, shown
from mnist_tune.storage.guarded import open_storage
from mnist_tune.storage.named import STORAGES
from mnist_tune.study.copy import Copied, copy_study
from mnist_tune.study.store import open_study

PATIENCE = 3600.0
"""In seconds: how long a head may take to answer, which makes the whole copy first."""


@dataclass(frozen=True)
class Side:
    """One of the two storages of a copy."""

    at: URL | HeadAddress
    folders: Folders | None
    """Where a database's files are; a head keeps its files itself."""

    @classmethod
    def named(cls, text: str, source: str, checkpoints: Path | None, artifacts: Path | None) -> Self:
        """The storage that a text names; errors call it by `source`, which says where it was written.

        Raises:
            UserError: the text names none, or folders were named for a head.
        """
        if is_head(text):
            if checkpoints is not None or artifacts is not None:
                raise UserError(f"{source}: the head keeps the files of its trials; name no folders for them")
            return cls(HeadAddress.parse(text, source), None)
        url = parse_url(text, source, STORAGES)
        return cls(url, Folders.of(url, checkpoints, artifacts))

    @property
    def where(self) -> str:
        """The storage as it may be printed."""
        return self.at.url if isinstance(self.at, HeadAddress) else shown(self.at)

    def places(self, *, existing: bool = False) -> str:
        """The folders of its files in words, all of them or those that exist."""
        if self.folders is None:
            return f"the folders of {self.where}"
        paths = [folder.path for folder in self.folders]
        return " and ".join(str(path) for path in paths if path.is_dir() or not existing)

    def studies(self, *, create: bool = False) -> StudiesForPeople:
        """Its studies; `create` makes a database if it is missing."""
        if isinstance(self.at, HeadAddress):
            return RemoteStudies(Head(self.at, answers_within=PATIENCE))
        folders = self.folders
        assert folders is not None
        return DirectStudies(open_storage(self.at, create=create), lambda: folders)


def copied(study: str, source: Side, target: Side, name: str | None) -> Copied:
    """Copy a study, as it is at one moment, under its own or another name; see `study.copy`.

    Raises:
        UserError: there is no such study, the target has a study of that name, or the name is not allowed.
        MnistTuneError: a file or a value cannot be copied, or a head does not answer.
    """
    if isinstance(source.at, URL) and isinstance(target.at, URL):
        opened = open_study(open_storage(source.at), study)
        return copy_study(opened, target.at, name, source.folders, target.folders)
    with source.studies().copy_out(study) as archive:
        return target.studies(create=True).copy_in(archive, name)
