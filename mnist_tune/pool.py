"""Local worker processes for one study: started, asked to stop, and what they said last."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from sqlalchemy.engine import URL

from mnist_tune.database import ENVIRONMENT_VARIABLE
from mnist_tune.errors import FAILED, MISTAKE, STOPPED
from mnist_tune.placement import Place
from mnist_tune.stop import pass_on

NO_FAILURE = {None, 0, STOPPED}
"""Exit codes of workers that run, that are done, or that were stopped."""


@dataclass
class Pool:
    """Worker processes over one study. The storage's URL travels in their environment, never in argv."""

    study: str
    url: URL
    arguments: list[str] = field(default_factory=list)
    """Further arguments of `mnist-tune worker`."""
    _workers: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = field(default_factory=list)

    def start(self, places: Sequence[Place]) -> None:
        """Start one worker at each of `places`; one may stand there several times."""
        environment = os.environ | {ENVIRONMENT_VARIABLE: self.url.render_as_string(hide_password=False)}
        for place in places:
            output = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as its worker
            command = [
                sys.executable,
                "-m",
                "mnist_tune",
                "worker",
                self.study,
                "--device",
                place.device,
                "--pooled",
            ]
            process = subprocess.Popen(
                [*command, *self.arguments],
                env=environment,
                # By it we say when to stop; its end tells the worker that we are gone, even by SIGKILL.
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C reaches us alone, and we pass it on.
                start_new_session=True,
            )
            self._workers.append((process, output))
            if place.core is not None:  # before it has started anything, which then keeps to the core too
                os.sched_setaffinity(process.pid, {place.core})

    def is_alive(self) -> bool:
        """Whether any worker still runs."""
        return any(process.poll() is None for process, _ in self._workers)

    def stop(self, times: int) -> None:
        """Ask every worker to leave: at the end of its epoch or, asked a second time, at once.

        times: how often by now. It is told by another way than signals, which a worker may get besides.
        """
        for process, _ in self._workers:
            assert process.stdin is not None
            pass_on(process.stdin.fileno(), times)

    def kill(self) -> None:
        """End every worker at once; their cells come back when their leases run out."""
        for process, _ in self._workers:
            process.kill()

    def exit_code(self) -> int:
        """2 if a worker refused its arguments, 1 if one failed otherwise, else 0."""
        codes = {process.poll() for process, _ in self._workers} - NO_FAILURE
        return MISTAKE if MISTAKE in codes else FAILED if codes else 0

    def failures(self) -> list[str]:
        """What the workers that ended badly said last, one line each."""
        return [
            f"worker {process.pid} {ending(process.returncode)}: {_last_line(output)}"
            for process, output in self._workers
            if process.poll() not in NO_FAILURE
        ]


def worker_arguments(
    threads: int | None, data_dir: Path | None, checkpoints: Path | None, artifacts: Path | None
) -> list[str]:
    """What every worker of a pool is told besides its study and device."""
    folders = {"--data-dir": data_dir, "--checkpoints": checkpoints, "--artifacts": artifacts}
    arguments = [] if threads is None else ["--threads", str(threads)]
    named = ((option, str(folder)) for option, folder in folders.items() if folder is not None)
    return [*arguments, *(argument for pair in named for argument in pair)]


def ending(returncode: int) -> str:
    """How a process ended."""
    return (
        f"was killed by {signal.Signals(-returncode).name}" if returncode < 0 else f"exited with {returncode}"
    )


def _last_line(output: IO[bytes]) -> str:
    output.seek(0)
    lines = output.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
