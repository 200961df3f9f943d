"""A command whose keepers are killed or slow: nothing is left of it, and no state has a wrong epoch."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mnist_tune.jobs.command.host import CommandTrial, Place
from mnist_tune.jobs.command.snapshot import unpack
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.processes.watchdog import Watchdog
from mnist_tune.spec.reading import load_spec
from tests.support.command_jobs import DECAY, command_job
from tests.support.commands import BY_EXEC, finish, run_python, start_command
from tests.support.process_tree import command_line, descendants, started_with_prefix
from tests.support.waiting import wait_until


class SlowWorker:
    """Asks for the state after each of the first epochs only when the command has ended."""

    is_to_drain = False

    def __init__(self, folder: Path, until_epoch: int) -> None:
        self.states: dict[int, bytes | None] = {}
        self._ended, self._until_epoch = folder / "ended", until_epoch

    def began(self, facts: dict[str, Any], history: list[EpochMetrics], problem: str | None) -> None:
        pass

    def epoch_done(self, metrics: EpochMetrics, state: Callable[[], bytes | None] | None, **_: bool) -> bool:
        if metrics.epoch <= self._until_epoch:
            wait_until(self._ended.exists)
        assert state is not None
        self.states[metrics.epoch] = state()
        return False

    def saved_state(self) -> tuple[bytes | None, str | None]:
        return None, None

    def save_state(self, *_: object) -> None:
        raise AssertionError("nobody is asked to leave")

    def check(self) -> None:
        pass

    def say(self, line: str) -> None:
        pass


def test_a_state_is_never_saved_as_that_of_an_earlier_epoch(tmp_path: Path) -> None:
    script = DECAY + "\n(here / 'ended').touch()\n"
    spec = load_spec(command_job(tmp_path, script))
    table: Any = spec.job
    worker, watchdog = SlowWorker(tmp_path, until_epoch=2), Watchdog()
    settings = {"learning_rate": 0.5, "epochs": 3, "seed": 0}
    CommandTrial(table, table.describe(), Place(tmp_path, "cpu", 1), watchdog, worker, settings).run()
    assert {epoch for epoch, state in worker.states.items() if state is None} == {1, 2}
    last = worker.states[3]
    assert last is not None
    (tmp_path / "unpacked").mkdir()
    history, first = unpack(last, tmp_path / "unpacked")
    assert ([one.epoch for one in history], first) == ([1, 2, 3], 1)
    assert json.loads((tmp_path / "unpacked" / "state.json").read_text())[2] == 4


@pytest.mark.slow
def test_a_watchdog_that_is_killed_is_replaced_while_the_command_runs(tmp_path: Path) -> None:
    finish(start_command("create-study", str(command_job(tmp_path)), folder=tmp_path))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {"PAUSE": "600", "TMPDIR": str(temporary)} | dict(BY_EXEC)
    worker = start_command(
        "worker", "decay", "--allow-command", ".", folder=tmp_path, environment=environment
    )

    def watchdogs() -> list[int]:
        return [pid for pid in descendants(worker.pid) if "watchdog.py" in " ".join(command_line(pid))]

    def scripts() -> list[int]:
        return started_with_prefix("MNIST_TUNE_CHECKPOINTS", str(temporary))

    wait_until(lambda: len(scripts()) == 1 and len(watchdogs()) == 1)
    (first,) = watchdogs()
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: watchdogs() not in ([], [first]))
    worker.kill()
    finish(worker)
    wait_until(lambda: not scripts() and not list(temporary.glob("mnist-tune-*")))


@pytest.mark.parametrize("when", ["before", "after"])
def test_who_is_killed_before_or_after_its_command_leaves_no_folder(tmp_path: Path, when: str) -> None:
    kill = "os.kill(os.getpid(), signal.SIGKILL)"
    killed = run_python(
        f"""
import os, shutil, signal, tempfile
from pathlib import Path
from mnist_tune.jobs.command import trial_folder
from mnist_tune.processes.watchdog import Watchdog
tempfile.tempdir = {str(tmp_path)!r}
def die(*_, **__):
    {kill}
with trial_folder.trial_folder({{"rate": 0.5}}, Watchdog()) as own:
    assert list(Path({str(tmp_path)!r}).glob("mnist-tune-*")) == [own.folder]
    shutil.rmtree = die
    {kill if when == "before" else "pass"}
""",
        tmp_path,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    wait_until(lambda: not list(tmp_path.glob("mnist-tune-*")))
