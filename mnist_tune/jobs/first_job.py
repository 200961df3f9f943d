"""Writes a small job with its spec and its test for somebody who begins: they work as they stand."""

from __future__ import annotations

import keyword
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import NamedTuple

from mnist_tune.errors import UserError
from mnist_tune.files.atomic_write import write_whole
from mnist_tune.files.output_folder import output_folder

TEMPLATES = Path(__file__).with_name("first_job_files")
NAME = "NAME"
"""Stands for the job's name in the templates and in their file names."""
OTHERWISE = "my_job"
"""The name of a job whose folder's name no module can have."""


class Written(NamedTuple):
    """The files of a new job."""

    job: Path
    spec: Path
    test: Path


def write_first_job(folder: Path) -> Written:
    """Write a job, its spec and its test into a new or empty folder, and name them after it.

    Raises:
        UserError: the folder is not empty, or cannot be made or written to.
    """
    name = _name(folder)
    with output_folder(folder, "name another folder", must_be_empty=True):
        return Written(*(_write(folder, file, name) for file in ("NAME.py", "NAME.toml", "test_NAME.py")))


def _name(folder: Path) -> str:
    """The folder's name as a module's, which hides none that is there."""
    name = folder.absolute().resolve().name.replace("-", "_")
    is_free = name not in sys.stdlib_module_names and name not in packages_distributions()
    can_be_one = name.isascii() and name.isidentifier() and name[0].isalpha() and not keyword.iskeyword(name)
    return name if can_be_one and is_free and len(name) <= 60 else OTHERWISE


def _write(folder: Path, file: str, name: str) -> Path:
    target = folder / file.replace(NAME, name)
    content = (TEMPLATES / f"{file}.txt").read_text(encoding="utf-8").replace(NAME, name)
    try:
        write_whole(target, content.encode())
    except OSError as error:
        raise UserError(f"{target}: cannot be written: {error.strerror}; name another folder") from None
    return target
