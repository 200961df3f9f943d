"""What several tests need: small specs, commands in processes of their own, studies in a file."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from mnist_tune.files.checkpoints import CheckpointFolder
from mnist_tune.files.locations import Folder, Folders, checkpoints_of
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.processes import fork_server
from mnist_tune.processes.child_process import ChildProcess
from mnist_tune.queue.queue import Claim, Queue
from mnist_tune.spec.study_spec import Spec, load_spec
from mnist_tune.storage.artifacts import ArtifactFolder
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import GuardedStorage, open_storage
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import create_study, open_study
from mnist_tune.worker.loop import Ended, RunTrial, Worker
from mnist_tune.worker.signals import StopRequest

ZONES_DIFFER_BY = timedelta(minutes=15)
"""Two readings of the same moment are nearer, also on a busy machine, unless one is in another time zone."""

STUDIES = Path(__file__).parents[2] / "studies"

# The reference grid, on so few images that a trial takes a moment.
TINY_SPEC = """
[study]
name = "tiny"

[search.grid]
learning_rate = [0.001, 0.0001]
batch_size = [64, 128]
optimizer = ["Adam", "SGD"]

[training]
epochs = 2
precision = "fp32"

[data]
train_size = 200
validation_size = 100
"""

TWO_CELLS = """
[study]
name = "tiny"

[search.grid]
learning_rate = [0.001, 0.0001]
"""
ONE_CELL = TWO_CELLS.replace(", 0.0001", "")


def lease(heartbeat_interval: float, grace_period: float, patience: float = 60.0) -> str:
    """The lines of a spec that say so."""
    return (
        f"\n[lease]\nheartbeat_interval = {heartbeat_interval}\n"
        f"grace_period = {grace_period}\nstorage_timeout = {patience}\n"
    )


def write_spec(folder: Path, text: str = TINY_SPEC, name: str = "spec.toml") -> Path:
    """A spec file in `folder`."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def tiny_spec(folder: Path, text: str = TINY_SPEC) -> Spec:
    """The spec that `text` says."""
    return load_spec(write_spec(folder, text))


def open_file(folder: Path, *, create: bool = False) -> GuardedStorage:
    """The SQLite storage in `folder`."""
    return open_storage(storage_url(f"sqlite:///{folder}/studies.db"), create=create)


def new_study(folder: Path, text: str = TINY_SPEC, url: str | None = None) -> OpenStudy:
    """A fresh study in a fresh SQLite file, or in the database at `url`."""
    spec = tiny_spec(folder, text)
    storage = open_storage(storage_url(url or f"sqlite:///{folder}/studies.db"), create=True)
    assert create_study(storage, spec)
    return open_study(storage, spec.study.name)


def opened_again(study: OpenStudy, url: str | None = None) -> OpenStudy:
    """The study as another process sees it, which may reach it by another URL."""
    return open_study(open_storage(storage_url(url) if url else study.storage.engine.url), study.name)


def take(queue: Queue) -> Claim:
    """Claim a cell, one of which waits."""
    claim = queue.claim("worker")
    assert claim is not None, queue.standing()
    return claim


def states(study: OpenStudy) -> list[TrialState]:
    """The states of the study's trials, in their order."""
    return [trial.state for trial in study.storage.get_all_trials(study.study_id)]


def work(
    study: OpenStudy,
    run_trial: RunTrial,
    stop: StopRequest | None = None,
    log: Callable[[str], None] = print,
    max_trials: int | None = None,
    files: Path | None = None,
    states: CheckpointFolder | None = None,
) -> Ended:
    """Run a worker of the study in this process, with its files in a folder, else beside the SQLite file."""
    folder = files or Path(study.storage.engine.url.database or "").parent
    assert folder.is_absolute(), "name a folder for the files"
    return Worker(
        study,
        run_trial,
        states or checkpoints_of(study.uid, Folder(folder / "checkpoints", is_default=True)),
        ArtifactFolder(folder / "artifacts"),
        stop or StopRequest(),
        log,
        max_trials=max_trials,
    ).work()


def folders(folder: Path) -> Folders:
    """The folders of checkpoints and of artifacts in `folder`, as a person who names them."""
    return Folders(Folder(folder / "checkpoints"), Folder(folder / "artifacts"))


def epoch(number: int, accuracy: float) -> EpochMetrics:
    """The metrics of an epoch that took no time."""
    return EpochMetrics(number, 0.5, 0.5, accuracy, 1_000.0, 0.1)


def fail_behind_its_back(url: str, trial_id: int) -> None:
    """Take a running trial from its worker as stock Optuna does: without a look at who holds it."""
    stock = optuna.storages.RDBStorage(url)
    assert stock.set_trial_state_values(trial_id, TrialState.FAIL)


class Forked(subprocess.Popen[str]):
    """A module's `main` in a process that comes loaded, which saves its start; else as one by exec."""

    def __init__(
        self, module: str, arguments: Sequence[str], folder: Path, environment: dict[str, str]
    ) -> None:
        fork_server.begin("tests.support.preload")
        out, err = os.pipe(), os.pipe()
        self._child = ChildProcess(
            "tests.support.child_functions:call_in",
            [str(folder), module],
            argv=["mnist-tune", *arguments],
            stdout=out[1],
            stderr=err[1],
            environment=environment,
        )
        try:
            self._child.start()
        finally:
            os.close(out[1])
            os.close(err[1])
        self.args = [module, *arguments]
        self.pid = self._child.pid
        self.stdin = None
        self.stdout, self.stderr = (os.fdopen(pipe[0], encoding="utf-8") for pipe in (out, err))
        self.returncode = None
        self.text_mode = True
        self._child_created = True
        self._communication_started = False
        self._input: Any = None

    def poll(self) -> int | None:
        ending = self._child.poll()
        if ending is not None:
            assert ending.code is not None, "its fork server was killed"
            self.returncode = ending.code
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self._child.wait(timeout)
        if self.poll() is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return self.returncode


BY_EXEC: Mapping[str, str] = {}
"""As `environment` of a command: it is started as users do, and all that it starts descends from it."""

MAINS = {"mnist_tune": "mnist_tune.__main__", "tests.support.toy_worker": "tests.support.toy_worker"}
"""Where the `main` is of what `python -m` runs."""


def start_command(
    *arguments: str, folder: Path, url: str | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start `mnist-tune` in `folder`, where its default storage lies too unless `url` names another."""
    return _start(["-m", "mnist_tune", *arguments], folder, url, environment)


def start_toy_worker(
    folder: Path,
    name: str = "tiny",
    seconds: float = 0.1,
    url: str | None = None,
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[str]:
    """Start a worker process whose trials only sleep."""
    return _start(["-m", "tests.support.toy_worker", name, str(seconds), *options], folder, url, environment)


def finish(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Wait for a started process."""
    out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def run_command(
    *arguments: str, folder: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `mnist-tune` to its end."""
    return finish(start_command(*arguments, folder=folder, environment=environment))


def run_python(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in `folder`, in a process of its own, which it may end as it likes."""
    return finish(_start(["-c", script], folder, None))


@contextmanager
def zone(name: str) -> Iterator[None]:
    """This process in a time zone."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TZ", name)
            time.tzset()
            yield
    finally:
        time.tzset()


def wait_until(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Look at something until it is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} seconds"
        time.sleep(0.05)


def _start(
    arguments: list[str], folder: Path, url: str | None, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """By fork where Python is to run a module and nothing is said of its environment, else by exec."""
    needed = {"MNIST_TUNE_STORAGE": url or f"sqlite:///{folder}/studies.db"}
    option, module, *rest = arguments
    if option == "-m" and environment is None:
        return Forked(MAINS[module], rest, folder, dict(os.environ | needed))
    needed["PYTHONPATH"] = str(STUDIES.parent)  # for tests.support.toy_worker
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | needed | dict(environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@dataclass
class Clock:
    """Stands for the module `time` in one of ours, so that a test says what time it is."""

    seconds: float = 0.0

    def monotonic(self) -> float:
        return self.seconds


def measured(history: Sequence[EpochMetrics]) -> list[tuple[Any, ...]]:
    """What training gave, without how long it took."""
    return [
        (each.epoch, each.training_loss, each.validation_loss, each.validation_accuracy) for each in history
    ]
