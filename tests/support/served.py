"""`mnist-tune serve` as a process of its own, as a person starts it."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.commands import BY_EXEC, finish, start_command

JOINING = r"^  MNIST_TUNE_STORAGE=(\S+) (?:MNIST_TUNE_TOKEN=\S+ )?mnist-tune worker "
"""The line that joins a machine."""
PROGRAMS = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
"""$PATH with this environment's `mnist-tune` in it."""


@dataclass
class Served:
    """A head that runs, and what it has printed until now."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def until(self, form: str) -> re.Match[str]:
        """Read its lines up to the next that has this form."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if found := re.search(form, line):
                return found
        raise AssertionError(f"it has ended: {self.lines} {finish(self.process).stderr}")

    @property
    def join(self) -> str:
        """The line that joins a machine."""
        return next(line.strip() for line in self.lines if " mnist-tune worker " in line)

    @property
    def port(self) -> int:
        found = re.search(r"https?://\S+:(\d+)", self.lines[0])
        assert found
        return int(found[1])

    def end(self, number: signal.Signals = signal.SIGTERM) -> subprocess.CompletedProcess[str]:
        """End it, and return the rest of what it has printed."""
        self.process.send_signal(number)
        return finish(self.process)


@contextmanager
def served(
    folder: Path, *options: str, port: int = 0, environment: Mapping[str, str] = BY_EXEC
) -> Iterator[Served]:
    """A head over the storage in `folder`, which has printed its line."""
    process = start_command("serve", "--port", str(port), *options, folder=folder, environment=environment)
    head = Served(process)
    try:
        head.until(r" mnist-tune worker ")
        yield head
    finally:
        if process.poll() is None:
            process.kill()
            finish(process)


@contextmanager
def serving(folder: Path, *options: str, url: str | None = None) -> Iterator[str]:
    """The address of a head over the storage in `folder`, as its line has it; it must end well."""
    with serving_process(folder, *options, url=url) as (address, _):
        yield address


@contextmanager
def serving_process(folder: Path, *options: str, url: str | None = None) -> Iterator[tuple[str, int]]:
    """The address of such a head, and the id of its process."""
    head = Served(start_command("serve", "--port", "0", *options, folder=folder, url=url))
    try:
        yield shlex.split(head.until(JOINING)[1])[0], head.process.pid
    finally:
        done = head.end()
    assert (done.returncode, done.stderr) == (0, ""), done


def pasted(
    line: str, folder: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Run a printed line in a shell of another folder."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("MNIST_TUNE_STORAGE")}
    own = {"PATH": PROGRAMS, "XDG_CACHE_HOME": str(folder / "cache")}
    return subprocess.Popen(
        ["/bin/sh", "-c", " ".join([line, *arguments])],
        cwd=folder,
        env=known | own | dict(environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
