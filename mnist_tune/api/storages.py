"""Finds the storage that an argument or an option names, a database or a head, and opens it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mnist_tune.errors import UserError
from mnist_tune.launch.request import OnlyHere
from mnist_tune.storage.named import ENVIRONMENT_VARIABLE, STORAGES, named_storage

if TYPE_CHECKING:  # who asks a head loads no database
    from sqlalchemy.engine import URL

    from mnist_tune.serve.address import HeadAddress
    from mnist_tune.serve.client import Head
    from mnist_tune.service.calls import StudiesForPeople

Storage = str | os.PathLike[str] | None
"""A database URL, the address of a head, the path of an SQLite file, or None for the commands' default."""
LIKE_A_URL = re.compile(r"[\w+]*:")
"""The start of a text that is meant as a URL: it may hold a password, so it is not shown in errors."""
PEOPLE_WAIT = 600.0
"""In seconds: a head may check a large study for minutes."""


class NamedStorage(Protocol):
    """A storage that somebody has named, and that is not opened yet."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Where a worker finds the storage: variables of its environment. They hold passwords and tokens."""

    @property
    def only_here(self) -> OnlyHere | None:
        """Why workers on other machines cannot reach the storage; None if nothing is known against it."""

    def refuse_folders(self, artifacts: Path | None) -> None:
        """Check that its workers may be told of a folder. Raises UserError: the head keeps these files."""

    def check_folders(self, checkpoints: Path | None, artifacts: Path | None) -> list[str]:
        """Check that workers on this machine can keep files; returns warnings. Raises UserError."""

    def service(
        self, checkpoints: Path | None = None, artifacts: Path | None = None, *, create: bool = False
    ) -> StudiesForPeople:
        """The studies in it; `create` makes the storage if it is missing.

        Raises:
            UserError: there is no such storage, or the head keeps the files for which a folder is named.
        """


class NamedDatabase:
    """See `NamedStorage`."""

    def __init__(self, url: URL) -> None:
        self._url = url

    def absolute(self) -> NamedDatabase:
        """The same database from any current folder."""
        return NamedDatabase(self._everywhere)

    @property
    def environment(self) -> Mapping[str, str]:
        return {ENVIRONMENT_VARIABLE: self._everywhere.render_as_string(hide_password=False)}

    @property
    def only_here(self) -> OnlyHere | None:
        from mnist_tune.storage.engine import shown

        if self._url.drivername != "sqlite":
            return None
        where = shown(self._everywhere)
        serve = f"mnist-tune serve --storage {shlex.quote(where)} --host 0.0.0.0"
        return OnlyHere(f"{where}: is a file of this machine", f"let them in with '{serve}'")

    def refuse_folders(self, artifacts: Path | None) -> None:
        pass

    def check_folders(self, checkpoints: Path | None, artifacts: Path | None) -> list[str]:
        from mnist_tune.files.locations import Folders
        from mnist_tune.files.writable import check_folders

        return check_folders(*(folder.path for folder in Folders.of(self._url, checkpoints, artifacts)))

    def service(
        self, checkpoints: Path | None = None, artifacts: Path | None = None, *, create: bool = False
    ) -> StudiesForPeople:
        from mnist_tune.files.locations import Folders
        from mnist_tune.service.direct import DirectStudies
        from mnist_tune.storage.guarded import open_storage

        folders = partial(Folders.of, self._url, checkpoints, artifacts)
        if checkpoints is not None or artifacts is not None:
            folders()  # what is wrong with them is told before the database is asked
        return DirectStudies(open_storage(self._url, create=create), folders)

    @property
    def _everywhere(self) -> URL:
        """The URL from any current folder."""
        if self._url.drivername != "sqlite":
            return self._url
        return self._url.set(database=str(Path(self._url.database or "").absolute()))


class NamedHead:
    """See `NamedStorage`."""

    def __init__(self, address: HeadAddress) -> None:
        self._address = address

    @property
    def environment(self) -> Mapping[str, str]:
        from mnist_tune.serve.client import TOKEN_VARIABLE

        token = os.environ.get(TOKEN_VARIABLE)
        return {ENVIRONMENT_VARIABLE: str(self._address)} | ({TOKEN_VARIABLE: token} if token else {})

    @property
    def only_here(self) -> OnlyHere | None:
        if not self._address.is_loopback:
            return None
        what = f"{self._address.url}: is an address at which each machine finds itself"
        return OnlyHere(what, "let them in with 'mnist-tune serve --host 0.0.0.0'")

    def refuse_folders(self, artifacts: Path | None) -> None:
        if artifacts is not None:
            raise UserError("--artifacts: the head keeps the files of trials; leave it out")

    def check_folders(self, checkpoints: Path | None, artifacts: Path | None) -> list[str]:
        from mnist_tune.serve.spool import check_spool, spool_parent

        self.refuse_folders(artifacts)
        return check_spool(spool_parent(checkpoints))

    def service(
        self,
        checkpoints: Path | None = None,
        artifacts: Path | None = None,
        *,
        create: bool = False,  # noqa: ARG002 - a head has a storage
    ) -> StudiesForPeople:
        from mnist_tune.serve.remote_studies import RemoteStudies

        if checkpoints is not None or artifacts is not None:
            raise UserError("--checkpoints, --artifacts: the head keeps the files of trials; leave them out")
        return RemoteStudies(self.asked(PEOPLE_WAIT))

    def asked(self, answers_within: float | None = None, hurry: Callable[[], bool] = lambda: False) -> Head:
        """The head as it is asked; an answer that comes later (seconds) counts as none.

        `hurry`: whether what takes long is to be given up now.
        """
        from mnist_tune.serve.client import ANSWER_SECONDS, Head

        return Head(self._address, answers_within=answers_within or ANSWER_SECONDS, hurry=hurry)


def named_by(text: str, source: str) -> NamedDatabase | NamedHead:
    """The storage that a text names; errors call it by `source`, which says where it was written.

    Raises:
        UserError: it names no database that is supported, and no head.
    """
    from mnist_tune.serve.address import HeadAddress, is_head

    if is_head(text):
        return NamedHead(HeadAddress.parse(text, source))
    from mnist_tune.storage.engine import parse_url

    return NamedDatabase(parse_url(text, source, STORAGES))


def storage_at(storage: Storage) -> NamedStorage:
    """The storage that an argument names. A file's path is made absolute: a notebook may change its folder.

    Raises:
        UserError: it names none.
    """
    if storage is None:
        named = named_by(*named_storage())
    elif isinstance(storage, str) and LIKE_A_URL.match(storage.strip()):
        named = named_by(storage, "storage")
    elif isinstance(storage, str | os.PathLike):
        named = _file(Path(storage))
    else:
        raise UserError("storage: should be a database URL, the path of an SQLite file, or None")
    return named.absolute() if isinstance(named, NamedDatabase) else named


def _file(path: Path) -> NamedDatabase:
    from sqlalchemy.engine import URL

    from mnist_tune.files.home import expanded

    return NamedDatabase(URL.create("sqlite", database=str(expanded(path))))
