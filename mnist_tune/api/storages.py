"""Finds the storage that an argument names."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path

from sqlalchemy.engine import URL

from mnist_tune.errors import UserError
from mnist_tune.files.home import expanded
from mnist_tune.files.locations import Folders
from mnist_tune.service.calls import StudiesForPeople
from mnist_tune.service.direct import DirectStudies
from mnist_tune.storage.engine import parse_url, storage_url
from mnist_tune.storage.guarded import GuardedStorage, open_storage

Storage = str | os.PathLike[str] | None
"""A database URL, the path of an SQLite file, or None for the default of the commands."""
LIKE_A_URL = re.compile(r"[\w+]*:")
"""The start of a text that is meant as a URL: it may hold a password, so it is not shown in errors."""


def service_at(storage: Storage, *, create: bool = False) -> StudiesForPeople:
    """The studies in a storage; `create` makes the storage if it is missing.

    Raises:
        UserError: see `storage_at`, or there is no such storage.
    """
    return service_of(open_storage(storage_at(storage), create=create))


def service_of(storage: GuardedStorage) -> StudiesForPeople:
    """The studies in a storage that is open."""
    return DirectStudies(storage, partial(Folders.of, storage.engine.url))


def storage_at(storage: Storage) -> URL:
    """The URL of a storage. A file's path is made absolute, since a notebook may change its folder.

    Raises:
        UserError: it is not a URL, or names a database that is not supported.
    """
    if storage is None:
        url = storage_url()
    elif isinstance(storage, str) and LIKE_A_URL.match(storage.strip()):
        url = parse_url(storage, "storage")
    elif isinstance(storage, str | os.PathLike):
        url = URL.create("sqlite", database=str(expanded(Path(storage))))
    else:
        raise UserError("storage: should be a database URL, the path of an SQLite file, or None")
    is_file = url.drivername == "sqlite"
    return url.set(database=str(Path(url.database or "").absolute())) if is_file else url
