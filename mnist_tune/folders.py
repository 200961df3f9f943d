"""Where the files beside a storage lie: checkpoints and artifacts."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs
from sqlalchemy.engine import URL


def checkpoint_folder(url: URL, option: Path | None = None) -> Path:
    """The folder of checkpoints: `option`, else $MNIST_TUNE_CHECKPOINTS, else a default for the storage."""
    return _folder("checkpoints", url, option)


def artifact_folder(url: URL, option: Path | None = None) -> Path:
    """The folder of artifacts: `option`, else $MNIST_TUNE_ARTIFACTS, else a default for the storage."""
    return _folder("artifacts", url, option)


def _folder(kind: str, url: URL, option: Path | None) -> Path:
    named = option or os.environ.get(f"MNIST_TUNE_{kind.upper()}")
    if named:
        return Path(named).expanduser().absolute()
    if url.drivername == "sqlite":  # beside the file: it goes where the studies go
        file = Path(url.database or "").absolute()
        return file.with_name(f"{file.stem}-{kind}")
    return platformdirs.user_data_path("mnist-tune") / kind
