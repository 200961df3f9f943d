"""Where the storage is named: by an option, by the environment, or not at all."""

from __future__ import annotations

import os

ENVIRONMENT_VARIABLE = "MNIST_TUNE_STORAGE"
DEFAULT_URL = "sqlite:///mnist-tune.db"
DATABASES = "sqlite:///FILE.db or postgresql://USER@HOST/DATABASE"
"""What a person may write where a database is wanted."""
STORAGES = "sqlite:///FILE.db, postgresql://USER@HOST/DATABASE, or http://HOST:PORT of 'mnist-tune serve'"
"""What a person may write where a head will do too."""


def named_storage(option: str | None = None) -> tuple[str, str]:
    """The text that names the storage, a database or a head, and where it was written.

    It is the option, else that of the environment, else an SQLite file in the current folder.
    """
    if option:
        return option, "--storage"
    return os.environ.get(ENVIRONMENT_VARIABLE) or DEFAULT_URL, f"${ENVIRONMENT_VARIABLE}"
