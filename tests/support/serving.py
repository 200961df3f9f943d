"""`mnist-tune serve` in a process of its own."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.commands import finish, start_command

JOINING = re.compile(
    r"^  MNIST_TUNE_STORAGE=(\S+) (?:MNIST_TUNE_TOKEN=\S+ )?mnist-tune worker ", re.MULTILINE
)


@contextmanager
def serving(folder: Path, *options: str, url: str | None = None) -> Iterator[str]:
    """The address of a head over the storage in `folder`, as its line has it; it must end well."""
    process = start_command("serve", "--port", "0", *options, folder=folder, url=url)
    try:
        yield joining_address(process)
    finally:
        process.terminate()
        done = finish(process)
    assert (done.returncode, done.stderr) == (0, ""), done


def joining_address(process: subprocess.Popen[str]) -> str:
    """The address in the line that joins a machine, once it is printed."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if found := JOINING.search(line):
            return shlex.split(found[1])[0]
    raise AssertionError(f"no head: {said}{finish(process).stderr}")
