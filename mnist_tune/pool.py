"""Local worker processes for one study: one per core, or one per GPU where there are any."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from sqlalchemy.engine import URL

from mnist_tune.database import ENVIRONMENT_VARIABLE
from mnist_tune.errors import FAILED, MISTAKE, STOPPED

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

    def start(self, devices: list[str]) -> None:
        """Start one worker on each of `devices`; a device may stand there several times."""
        environment = os.environ | {ENVIRONMENT_VARIABLE: self.url.render_as_string(hide_password=False)}
        for device in devices:
            output = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as its worker
            command = [
                sys.executable,
                "-m",
                "mnist_tune",
                "worker",
                self.study,
                "--device",
                device,
                "--pooled",
            ]
            process = subprocess.Popen(
                [*command, *self.arguments],
                env=environment,
                # Nothing is ever written to it: its end tells the worker that we are gone, even by SIGKILL.
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C reaches us alone, and we pass it on once: a worker must not get it twice.
                start_new_session=True,
            )
            self._workers.append((process, output))

    def is_alive(self) -> bool:
        """Whether any worker still runs."""
        return any(process.poll() is None for process, _ in self._workers)

    def stop(self) -> None:
        """Ask every worker to leave: at the end of its epoch or, asked again, at once."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End every worker at once; their cells come back when their leases run out."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        for process, _ in self._workers:
            if process.poll() is None:
                process.send_signal(number)

    def exit_code(self) -> int:
        """2 if a worker refused its arguments, 1 if one failed otherwise, else 0."""
        codes = {process.poll() for process, _ in self._workers} - NO_FAILURE
        return MISTAKE if MISTAKE in codes else FAILED if codes else 0

    def failures(self) -> list[str]:
        """What the workers that ended badly said last, one line each."""
        return [
            f"worker {process.pid} {_ending(process.returncode)}: {_last_line(output)}"
            for process, output in self._workers
            if process.poll() not in NO_FAILURE
        ]


def check_device(device: str) -> None:
    """See that this machine has the device.

    Raises:
        UserError: it has not.
    """
    if device not in ("auto", "cpu"):  # these need no look, which would wait for torch
        from mnist_tune.devices import resolve_runtime

        resolve_runtime(device)


def local_devices(workers: int | None, device: str, n_cells: int) -> list[str]:
    """One device name per worker to start: by default every GPU, else every core this process may use."""
    present = _gpus() if device == "auto" else []
    if workers is None:
        wanted = len(present) or (usable_cores() if device in ("auto", "cpu") else 1)
        workers = min(wanted, n_cells)
    choices = present or [device]
    return [choices[index % len(choices)] for index in range(workers)]


def worker_arguments(threads: int | None, folders: Mapping[str, Path | None]) -> list[str]:
    """What every worker of a pool is told besides its study and device; `folders` by their options."""
    arguments = [] if threads is None else ["--threads", str(threads)]
    named = ((option, str(folder)) for option, folder in folders.items() if folder is not None)
    return [*arguments, *(argument for pair in named for argument in pair)]


def usable_cores() -> int:
    """The cores this process may use, of which a container may have fewer than the machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return max(1, min(cores, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no cgroups, or "max": no quota
        return cores


def _gpus() -> list[str]:
    # Torch takes seconds to import: only ask it where there may be something to find.
    if not (Path("/dev/nvidiactl").exists() or Path("/dev/kfd").exists() or sys.platform != "linux"):
        return []
    from mnist_tune.devices import available_devices

    return [device for device in available_devices() if device != "cpu"]


def _ending(returncode: int) -> str:
    return (
        f"was killed by {signal.Signals(-returncode).name}" if returncode < 0 else f"exited with {returncode}"
    )


def _last_line(output: IO[bytes]) -> str:
    output.seek(0)
    lines = output.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
