"""A command that a worker runs for one trial after another."""

from __future__ import annotations

import shutil
import signal
from typing import Any

from mnist_tune.errors import UserError
from mnist_tune.jobs.command.arguments import PLACEHOLDER, environment_of
from mnist_tune.jobs.command.host import CommandTrial, CommandWorker, Place
from mnist_tune.jobs.command.permitted import PermittedCommand, source_in
from mnist_tune.processes.watchdog import Watchdog

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class HostedCommand:
    """A command in its folder, with the process that watches over it. Make it in the main thread."""

    def __init__(self, permitted: PermittedCommand, device: str, threads: int) -> None:
        """Raises UserError if there is no such program or folder."""
        self._table = permitted.table
        self._place = Place(permitted.folder, device, threads)
        self.source = source_in(permitted.table, permitted.folder)
        self._description = permitted.table.describe(self.source)
        self._check_program()
        # A signal that is ignored or blocked would be so in the command too; a handler is not inherited.
        for number in STOPS:
            signal.signal(number, _leave_it_to_the_worker)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        self._watchdog = Watchdog()

    def run(self, attempt: CommandWorker, settings: dict[str, Any]) -> dict[str, bytes]:
        """Run the command once; returns the files to keep. Raises what `CommandTrial.run` raises."""
        saved, problem = attempt.saved_state()
        return CommandTrial(
            self._table, self._description, self._place, self._watchdog, attempt, settings, saved, problem
        ).run()

    def _check_program(self) -> None:
        program, folder = self._table.command[0], self._place.folder
        if not folder.is_dir():
            raise UserError(f"--allow-command {folder}: no such folder")
        if PLACEHOLDER.search(program):
            return
        path = environment_of({}, self._place.device, self._place.threads)["PATH"]
        there = str(folder / program) if "/" in program else program
        if shutil.which(there, path=path) is None:
            raise UserError(f"the study's command: there is no program '{program}' in {folder} or on $PATH")


def _leave_it_to_the_worker(*_: object) -> None:
    """The worker gets these signals too, and decides."""
