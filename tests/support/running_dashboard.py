"""`mnist-tune dashboard` in a process of its own."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.commands import finish, start_command


@contextmanager
def running_dashboard(folder: Path, *options: str, url: str | None = None) -> Iterator[str]:
    """The address of a dashboard over the storage in `folder`; it must end well with the block."""
    process = start_command("dashboard", "--port", "0", "--no-open", *options, folder=folder, url=url)
    try:
        yield address_of(process)
    finally:
        process.terminate()
        done = finish(process)
    assert (done.returncode, done.stderr) == (0, ""), done


def address_of(process: subprocess.Popen[str]) -> str:
    """The address that a dashboard prints when it has started."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if found := re.match(r"dashboard on (http://\S+/) ", line):
            return found[1]
    raise AssertionError(f"no dashboard: {said}{finish(process).stderr}")
