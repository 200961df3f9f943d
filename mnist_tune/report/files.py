"""Writes the page to a file."""

from __future__ import annotations

from pathlib import Path

from mnist_tune.errors import UserError
from mnist_tune.files.atomic_write import write_output
from mnist_tune.report.contents import Report
from mnist_tune.report.page import page


def write_page(report: Report, path: Path) -> int:
    """Write the report whole or not at all; returns its size in bytes.

    Raises:
        UserError: the file cannot be written.
    """
    content = page(report).encode()
    try:
        write_output(path, content)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}; name another with --output") from None
    return len(content)
