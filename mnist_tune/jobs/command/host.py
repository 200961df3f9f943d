"""Runs a command for one trial: its reports become epochs, and its folder becomes the trial's state."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mnist_tune.errors import UserError
from mnist_tune.failures import Failure
from mnist_tune.jobs.command.arguments import environment_of, filled_in
from mnist_tune.jobs.command.ending import (
    ENDED_BY_SIGTERM,
    BeginsAnew,
    CommandFailed,
    failure_of,
    nothing_reported,
)
from mnist_tune.jobs.command.process import CommandProcess
from mnist_tune.jobs.command.reports import PatternReader, Report, Reports
from mnist_tune.jobs.command.snapshot import SnapshotUnusable, pack, unpack
from mnist_tune.jobs.command.table import CommandTable
from mnist_tune.jobs.command.trial_folder import TrialFolder, trial_folder
from mnist_tune.jobs.description import JobDescription
from mnist_tune.jobs.host import Drained, TrialEnded, Worker
from mnist_tune.jobs.interface import JobMistake
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.jobs.reported import reported_epoch
from mnist_tune.processes.watchdog import Watchdog
from mnist_tune.text.wording import first_line

LOOK_SECONDS = 0.05
TOLD_SECONDS = 1.0
"""How long after a command's early end the worker may be asked to leave: Slurm signals both at once."""


class CommandWorker(Worker, Protocol):
    """What the host of a command asks of the process that it is in."""

    @property
    def is_to_drain(self) -> bool:
        """Whether the worker was asked to leave."""

    def saved_state(self) -> tuple[bytes | None, str | None]:
        """The state to go on from; or why there is none although there should be one."""

    def save_state(self, epoch: int, state: Callable[[], bytes | None]) -> None:
        """Keep the state after `epoch` epochs, or within the one that follows, if it can be made and kept."""


@dataclass(frozen=True)
class Place:
    """Where a command runs."""

    folder: Path
    """Its current folder."""
    device: str
    threads: int


@dataclass(frozen=True)
class _Run:
    """A command that runs."""

    process: CommandProcess
    own: TrialFolder
    reports: Reports


@dataclass
class CommandTrial:
    """One trial of a command."""

    table: CommandTable
    description: JobDescription
    place: Place
    watchdog: Watchdog
    worker: CommandWorker
    settings: Mapping[str, Any]
    """All hyperparameters, with `epochs`."""
    saved: bytes | None = None
    """The state to go on from."""
    problem: str | None = None
    """Why there is none, although an earlier attempt has saved one."""
    history: list[EpochMetrics] = field(default_factory=list)
    _earlier: list[EpochMetrics] = field(default_factory=list)
    """The epochs that an earlier attempt has done."""
    _first: int = 1
    """The number that the command gives to its first epoch: 1, or 0 if it begins with that."""
    _has_begun: bool = False
    _numbers_epochs: bool = False
    """Whether the reports say which epoch they are of, so that a retry can tell where the command goes on."""
    _is_saved: bool = True
    """Whether the state after the last epoch is saved, as far as it is to be."""
    _is_told_to_end: bool = False
    """Whether the command was told to leave."""

    def run(self) -> dict[str, bytes]:
        """Run the command to its end; returns the files that it has left to be kept.

        Raises:
            TrialEnded: the trial ended before the command did.
            JobMistake, NonFiniteMetric, CommandFailed: what went wrong in it.
        """
        while True:
            try:
                return self._attempt()
            except BeginsAnew as reason:
                if self.worker.is_to_drain:
                    raise Drained from None
                self.saved, self.problem = None, str(reason)

    def _attempt(self) -> dict[str, bytes]:
        with trial_folder(self.settings, self.watchdog) as own:
            if self.saved is None:
                self._begin([])
            else:
                try:
                    self._earlier, self._first = unpack(self.saved, own.checkpoints)
                except SnapshotUnusable as unusable:
                    raise BeginsAnew(str(unusable)) from None
            process = self._started(own)
            try:
                reader = PatternReader(self.table.patterns, self.description.objective)
                run = _Run(process, own, Reports(process, reader))
                self._follow(run)
                self._end(run)
            except TrialEnded:
                process.end()
                raise
            finally:
                process.close()
                self.watchdog.watch(own.folder)  # the number of the group may be another's from now on
            return own.files(self.worker.say)

    def _started(self, own: TrialFolder) -> CommandProcess:
        environment = environment_of(own.paths, self.place.device, self.place.threads)
        try:
            command = filled_in(self.table.command, self.settings, own.paths)
            return CommandProcess(
                command, self.place.folder, environment, own.report, self.watchdog, own.folder
            )
        except UserError as mistake:
            raise JobMistake(str(mistake)) from None
        except (OSError, ValueError) as error:  # ValueError: an argument has a null character
            said = f"the command cannot be run: {getattr(error, 'strerror', None) or error}"
            raise CommandFailed(Failure("exception", said)) from None

    def _begin(self, history: list[EpochMetrics], problem: str | None = None) -> None:
        self._has_begun = True
        self.history = list(history)
        self.worker.began({}, history, problem or self.problem)

    def _follow(self, run: _Run) -> None:
        """Read reports and output until the command ends."""
        began = time.perf_counter()
        is_running = True
        while is_running:
            is_running = run.process.wait()
            self.watchdog.look()
            while (report := run.reports.next()) is not None:
                now = time.perf_counter()
                self._done(report, now - began, run)
                began = now
            self.worker.check()
            if self.worker.is_to_drain and not self._is_told_to_end and is_running:
                if not self._is_saved:
                    self._save(run)
                self._is_told_to_end = True
                run.process.terminate()

    def _done(self, report: Report, seconds: float, run: _Run) -> None:
        if not self._has_begun:
            self._go_on(report)
        epoch = len(self.history) + 1
        if epoch > self.settings["epochs"]:
            raise JobMistake(f"it reports more epochs than its epochs = {self.settings['epochs']}")
        if epoch == 1:
            self._first = 0 if report.epoch == 0 else 1
        expected = epoch - 1 + self._first
        if report.epoch not in (None, expected):
            after = f"after epoch {expected - 1}" if epoch > 1 else "first"
            raise JobMistake(
                f"it reports epoch {report.epoch} {after}; each epoch is reported once, in order"
            )
        self._numbers_epochs = report.epoch is not None
        if epoch == 1 and not self._numbers_epochs:
            self.worker.say("its reports have no number of the epoch: after a loss, a trial begins anew")
        done = reported_epoch(self.description, epoch, report.metrics, seconds, "its report")
        self.history.append(done)
        is_last = epoch == self.settings["epochs"]
        state = self._state(run)
        self._is_saved = state is None
        if self.worker.epoch_done(done, state, is_last=is_last):
            raise Drained

    def _go_on(self, report: Report) -> None:
        """Take over the epochs before the first one that a command reports which found a saved state."""
        done = 0 if report.epoch is None else report.epoch - self._first
        if not 0 <= done <= len(self._earlier):
            raise BeginsAnew(
                f"it goes on with epoch {report.epoch}, and {len(self._earlier)} are known; it should report "
                "an epoch after it has saved its state"
            )
        self._begin(self._earlier[:done], None if done else "the command began at its first epoch")

    def _state(self, run: _Run) -> Callable[[], bytes | None] | None:
        """What makes the state after the last epoch; None if there is none to keep."""
        if not self._numbers_epochs:
            return None
        with suppress(OSError):  # one that cannot be read is told when it is to be saved
            if not run.own.has_state:
                return None

        def packed() -> bytes | None:
            with run.process.held():
                if run.reports.has_next():  # we are slow: the command has saved a later epoch by now
                    return None
                content = pack(run.own.checkpoints, self.history, self._first)
            self._is_saved = True
            return content

        return packed

    def _save(self, run: _Run) -> None:
        state = self._state(run)
        if state is not None:
            self.worker.save_state(len(self.history), state)

    def _end(self, run: _Run) -> None:
        """Judge how the command ended."""
        code, epochs = run.process.exit_code, self.settings["epochs"]
        if code == 0 and not self._has_begun and len(self._earlier) == epochs:
            self._begin(self._earlier)  # nothing was left to do
        if code == 0 and len(self.history) == epochs:
            return
        if self._is_told_to_leave():
            if code not in ENDED_BY_SIGTERM and self._has_begun:  # it had time to save where it is
                self._save(run)
            raise Drained
        failure = failure_of(code, list(run.process.last_lines))
        if not self._has_begun and failure.kind != "lost":
            raise BeginsAnew(f"with its saved state, {first_line(failure.reason)}")
        if code:
            raise CommandFailed(failure)
        if not self.history:
            raise CommandFailed(nothing_reported(list(run.process.last_lines), self.table.pattern))

    def _is_told_to_leave(self) -> bool:
        """Whether the worker is asked to leave, or will be in a moment."""
        deadline = time.monotonic() + TOLD_SECONDS
        while not self.worker.is_to_drain and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        return self.worker.is_to_drain
