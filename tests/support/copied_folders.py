"""Copies of folders with a database in them."""

from __future__ import annotations

import subprocess
from pathlib import Path


def copy_folder(folder: Path, to: Path) -> None:
    """Copy a folder whose SQLite file this process may have open; `to` must not be there.

    Another process reads the file. If this one did, the system would forget the locks of all its connections
    when it closes the file: another process could then delete the write-ahead log that these still use.
    """
    subprocess.run(["cp", "-a", folder, to], check=True)
