"""Studies that are made, opened, and worked on in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from mnist_tune.contract.claim import Claim
from mnist_tune.files.locations import Folder, Folders
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.queue.queue import Queue
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import GuardedStorage, open_storage
from mnist_tune.study.direct import DirectStudy
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import create_study, open_study
from mnist_tune.worker.loop import Ended, RunTrial, Worker
from mnist_tune.worker.signals import StopRequest
from tests.support.specs import TINY_SPEC, tiny_spec


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
    """The study as another process sees it, which may use another URL."""
    return open_study(open_storage(storage_url(url) if url else study.storage.engine.url), study.name)


def opened_file(file: Path, name: str) -> OpenStudy:
    """The study of this name in an SQLite file."""
    return open_study(open_storage(storage_url(f"sqlite:///{file}")), name)


def take(queue: Queue) -> Claim:
    """Claim a cell; one must be waiting."""
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
    places: Folders | None = None,
) -> Ended:
    """Run a worker of the study in this process, with its files in `files`, else beside the SQLite file."""
    folder = files or Path(study.storage.engine.url.database or "").parent
    assert folder.is_absolute(), "name a folder for the files"
    own = Folders(Folder(folder / "checkpoints", is_default=True), Folder(folder / "artifacts"))
    direct = DirectStudy(study, places or own)
    return Worker(direct, run_trial, stop or StopRequest(), log, max_trials=max_trials).work()


def folders(folder: Path) -> Folders:
    """The folders of checkpoints and artifacts in `folder`, as if a person had named them."""
    return Folders(Folder(folder / "checkpoints"), Folder(folder / "artifacts"))


def fail_behind_its_back(url: str, trial_id: int) -> None:
    """Take a running trial from its worker as stock Optuna does: without a check of its lease."""
    stock = optuna.storages.RDBStorage(url)
    assert stock.set_trial_state_values(trial_id, TrialState.FAIL)


def without_times(history: Sequence[EpochMetrics]) -> list[tuple[Any, ...]]:
    """The results of training, without the times."""
    return [
        (each.epoch, each["training_loss"], each["validation_loss"], each["validation_accuracy"])
        for each in history
    ]
