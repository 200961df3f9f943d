"""The temporary folder of a command's trial: its parameters, its reports, its state and its files."""

from __future__ import annotations

import json
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mnist_tune.files.atomic_write import write_whole
from mnist_tune.files.stored_names import FILE_NAME
from mnist_tune.processes.watchdog import Watchdog


class TrialFolder:
    """The folder and what is in it; `paths` has the names that a command's placeholders use."""

    def __init__(self, folder: Path, parameters: Mapping[str, Any]) -> None:
        """Make all but the pipe of the reports in a folder that is empty."""
        self.folder = folder
        self.report, self.checkpoints, self.artifacts = (
            folder / name for name in ("report", "checkpoints", "artifacts")
        )
        given = folder / "parameters.json"
        self.paths = {
            "report": self.report,
            "parameters": given,
            "checkpoints": self.checkpoints,
            "artifacts": self.artifacts,
        }
        self.checkpoints.mkdir()
        self.artifacts.mkdir()
        write_whole(given, json.dumps(dict(parameters)).encode())

    @property
    def has_state(self) -> bool:
        """Whether the command has saved anything to go on from. Raises OSError."""
        with suppress(FileNotFoundError):  # the command has removed the folder, perhaps to make it anew
            return any(self.checkpoints.iterdir())
        return False

    def files(self, say: Callable[[str], None]) -> dict[str, bytes]:
        """The files that the command has left to be kept with its trial, by name. Raises OSError."""
        files: dict[str, bytes] = {}
        if not self.artifacts.is_dir():
            say("no file is kept: the command has removed the folder of its files")
            return files
        for path in sorted(self.artifacts.iterdir()):
            if path.is_file() and not path.is_symlink() and FILE_NAME.fullmatch(path.name):
                files[path.name] = path.read_bytes()
            else:
                say(f"not kept: {path.name!r} is no file, or has another name than a file may have")
        return files


@contextmanager
def trial_folder(parameters: Mapping[str, Any], watchdog: Watchdog) -> Iterator[TrialFolder]:
    """A folder for one run of a command; it is removed at the end of the block, or when we are killed."""
    # Resolved, so that links which a command makes lead into the folder by the path that it was told.
    folder = Path(tempfile.gettempdir()).resolve() / f"mnist-tune-{secrets.token_hex(8)}"
    watchdog.watch(folder)  # before it is there, so that it is never left
    folder.mkdir(mode=0o700)
    try:
        yield TrialFolder(folder, parameters)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        watchdog.forget()
