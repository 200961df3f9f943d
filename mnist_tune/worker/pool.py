"""Local worker processes for one study: starts and stops them, and reports their last output."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from mnist_tune import __version__
from mnist_tune.errors import FAILED, MISTAKE, STOPPED
from mnist_tune.hardware.placement import Placement
from mnist_tune.jobs.command.permitted import CommandConsent
from mnist_tune.jobs.reference import JobFile
from mnist_tune.processes import fork_server
from mnist_tune.processes.child_process import ChildProcess, NotStarted
from mnist_tune.worker.signals import pass_on

NO_FAILURE = {0, STOPPED}
"""Exit codes of workers that finished, or that were stopped."""


@dataclass
class _Worker:
    process: ChildProcess
    output: IO[bytes]
    lifeline: IO[bytes]
    """Tells the worker when to stop; its end tells that we are gone, even by SIGKILL."""


@dataclass
class Pool:
    """Worker processes for one study. Where its storage is stands in their environment, never in argv."""

    study: str
    storage: Mapping[str, str] = field(repr=False)
    """Variables of each worker's environment by which it finds the storage; they hold secrets."""
    arguments: list[str] = field(default_factory=list)
    """Further arguments of `mnist-tune worker`."""
    _workers: list[_Worker] = field(default_factory=list)
    _starting: threading.Thread | None = None
    _not_started: list[str] = field(default_factory=list)
    _stops: int = 0
    _killed: bool = False
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def start(self, places: Sequence[Placement]) -> None:
        """Start one worker at each of `places`; a place may be in it several times.

        Returns at once: the fork server may still be loading.
        """
        fork_server.begin(fork_server.WORKERS)
        self._starting = threading.Thread(target=self._start_each, args=(places,), name="start", daemon=True)
        self._starting.start()

    def is_alive(self) -> bool:
        """Whether any worker still runs, or is yet to be started."""
        with self._lock:
            starting = not self._stops and self._starting is not None and self._starting.is_alive()
            return starting or any(worker.process.is_alive() for worker in self._workers)

    def stop(self, times: int) -> None:
        """Ask every worker to leave: at the end of its epoch or, the second time, at once.

        `times` is how often it was asked by now; it is sent through a pipe, not by signals.
        """
        with self._lock:
            self._stops = max(self._stops, times)
            for worker in self._workers:
                pass_on(worker.lifeline.fileno(), self._stops)

    def kill(self) -> None:
        """Kill every worker; their cells come back when their leases run out."""
        with self._lock:
            self._killed = True
            for worker in self._workers:
                worker.process.kill()

    def exit_code(self) -> int:
        """2 if a worker refused its arguments, 1 if one failed otherwise, else 0."""
        with self._lock:
            codes = {
                ending.code for worker in self._workers if (ending := worker.process.poll())
            } - NO_FAILURE
            return MISTAKE if MISTAKE in codes else FAILED if codes or self._not_started else 0

    def failures(self) -> list[str]:
        """The last output of the workers that failed, one line each."""
        with self._lock:
            return self._not_started + [
                f"worker {worker.process.pid} {ending}: {_last_line(worker.output)}"
                for worker in self._workers
                if (ending := worker.process.poll()) and ending.code not in NO_FAILURE
            ]

    def _start_each(self, places: Sequence[Placement]) -> None:
        for place in places:
            try:
                self._start(place)
            except (NotStarted, OSError) as problem:  # no room for its output, or no descriptors left
                why = f"cannot be started: {problem.strerror}" if isinstance(problem, OSError) else problem
                with self._lock:
                    self._not_started.append(f"a worker {why}")

    def _start(self, place: Placement) -> None:
        # Without the lock: this waits until the fork server has loaded.
        output = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as its worker
        end, lifeline = os.pipe()
        worker = _Worker(
            ChildProcess(
                "mnist_tune.__main__:main",
                argv=["mnist-tune", *pooled_worker(self.study), "--device", place.device, *self.arguments],
                stdin=end,
                stdout=output.fileno(),
                stderr=output.fileno(),
                environment=fork_server.environment() | dict(self.storage),
                cores=None if place.core is None else {place.core},
                # Ctrl-C reaches only us, and we pass it on.
                own_session=True,
            ),
            output,
            os.fdopen(lifeline, "wb", buffering=0),  # as long as its worker
        )
        try:
            if not self._stops:
                worker.process.start()
        finally:
            os.close(end)
        with self._lock:
            self._workers.append(worker)
            pass_on(lifeline, self._stops)
            if self._killed:
                worker.process.kill()


def pooled_worker(study: str) -> list[str]:
    """The arguments of a worker that another command starts; that command then reports its failures."""
    return ["worker", study, "--pooled", __version__]


def worker_arguments(
    threads: int | None,
    data_dir: Path | None,
    checkpoints: Path | None,
    artifacts: Path | None,
    job: JobFile | CommandConsent | None = None,
) -> list[str]:
    """The arguments of every worker in a pool, except its study and device."""
    given: dict[str, object] = {
        "--data-dir": data_dir,
        "--checkpoints": checkpoints,
        "--artifacts": artifacts,
    }
    if isinstance(job, CommandConsent):
        given |= {"--allow-command": job.folder, "--command-digest": job.digest}
    else:
        given["--job"] = job
    arguments = [] if threads is None else ["--threads", str(threads)]
    named = ((option, str(value)) for option, value in given.items() if value is not None)
    return [*arguments, *(argument for pair in named for argument in pair)]


def _last_line(output: IO[bytes]) -> str:
    output.seek(0)
    lines = output.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
