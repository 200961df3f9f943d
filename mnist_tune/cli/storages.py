"""Opens what the options of commands name: a storage, the studies in it, the folders of its files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_tune.api.storages import NamedDatabase, NamedHead, named_by
from mnist_tune.storage.named import named_storage

if TYPE_CHECKING:
    from mnist_tune.contract.study import StudyForWorkers
    from mnist_tune.files.locations import Folders
    from mnist_tune.service.calls import StudiesForPeople
    from mnist_tune.storage.guarded import GuardedStorage
    from mnist_tune.study.open_study import OpenStudy
    from mnist_tune.worker.signals import StopRequest


def named(url: str | None) -> NamedDatabase | NamedHead:
    """The storage that the option, the environment or the default names."""
    return named_by(*named_storage(url))


def service(
    url: str | None, checkpoints: Path | None = None, artifacts: Path | None = None, *, create: bool = False
) -> StudiesForPeople:
    """The studies at `url`, with the folders of their files; `create` makes the storage if it is missing."""
    found = named(url)
    if isinstance(found, NamedDatabase):
        tame_optuna()
    return found.service(checkpoints, artifacts, create=create)


def storage(url: str | None, *, create: bool = False) -> GuardedStorage:
    """Open the storage that the option, the environment or the default names."""
    from mnist_tune.storage.engine import storage_url
    from mnist_tune.storage.guarded import open_storage

    tame_optuna()
    return open_storage(storage_url(url), create=create)


def tame_optuna() -> None:
    """Have Optuna log its warnings in the same way as this process logs all others."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna.logging.disable_default_handler()  # it would write stored text without escaping it
    optuna.logging.enable_propagation()


def folders(url: str | None, checkpoints: Path | None, artifacts: Path | None) -> Folders:
    """The folders of checkpoints and artifacts for the storage at `url`."""
    from mnist_tune.files.locations import Folders
    from mnist_tune.storage.engine import storage_url

    return Folders.of(storage_url(url), checkpoints, artifacts)


def study(name: str, url: str | None) -> OpenStudy:
    """Open a study in the storage at `url`."""
    from mnist_tune.study.store import open_study

    return open_study(storage(url), name)


@contextmanager
def study_for_workers(
    name: str,
    url: str | None,
    checkpoints: Path | None,
    artifacts: Path | None,
    stop: StopRequest,
    log: Callable[[str], None],
) -> Iterator[StudyForWorkers]:
    """Open a study as a worker sees it. If its head is away, this waits for it until `stop`.

    Raises:
        UserError: there is no such study, or the head keeps the files and a folder for them was named.
        MnistTuneError: the study is damaged, or its storage does not answer.
        Interrupted: the worker was asked to stop meanwhile.
    """
    found = named(url)
    if isinstance(found, NamedDatabase):
        from mnist_tune.study.direct import DirectStudy

        yield DirectStudy(study(name, url), folders(url, checkpoints, artifacts))
        return
    from mnist_tune.serve.remote_study import RemoteStudy
    from mnist_tune.serve.spool import check_spool, spool, spool_parent
    from mnist_tune.spec.sections import LeaseSettings
    from mnist_tune.worker.assembly import answer_before_work

    found.refuse_folders(artifacts)
    check_spool(parent := spool_parent(checkpoints))
    head = found.asked(hurry=lambda: stop.times > 1)
    usual = LeaseSettings().storage_timeout  # the study's own is not known yet
    with spool(parent) as folder:
        yield answer_before_work(lambda: RemoteStudy(head, name, folder), usual, stop, log)
