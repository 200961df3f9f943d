"""Opens what the options of commands name: a storage, the studies in it, the folders of its files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_tune.errors import UserError

if TYPE_CHECKING:
    from mnist_tune.contract.study import StudyForWorkers
    from mnist_tune.files.locations import Folders
    from mnist_tune.serve.client import Head
    from mnist_tune.service.calls import StudiesForPeople
    from mnist_tune.storage.guarded import GuardedStorage
    from mnist_tune.study.open_study import OpenStudy

PEOPLE_WAIT = 600.0
"""In seconds: a head may check a large study for minutes."""


def is_behind_a_head(url: str | None) -> bool:
    """Whether the option, the environment or the default names a head, and not a database."""
    from mnist_tune.serve.address import is_head
    from mnist_tune.storage.named import named_storage

    return is_head(named_storage(url)[0])


def service(
    url: str | None, checkpoints: Path | None = None, artifacts: Path | None = None, *, create: bool = False
) -> StudiesForPeople:
    """The studies at `url`, with the folders of their files; `create` makes the storage if it is missing."""
    if is_behind_a_head(url):
        from mnist_tune.serve.remote_studies import RemoteStudies

        if checkpoints is not None or artifacts is not None:
            raise UserError("--checkpoints, --artifacts: the head keeps the files of trials; leave them out")
        return RemoteStudies(_head(url, answers_within=PEOPLE_WAIT))
    from mnist_tune.service.direct import DirectStudies

    return DirectStudies(storage(url, create=create), partial(folders, url, checkpoints, artifacts))


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
    name: str, url: str | None, checkpoints: Path | None, artifacts: Path | None
) -> Iterator[StudyForWorkers]:
    """Open a study as a worker sees it.

    Raises:
        UserError: there is no such study, or the head keeps the files and a folder for them was named.
        MnistTuneError: the study is damaged, or its storage does not answer.
    """
    if not is_behind_a_head(url):
        from mnist_tune.study.direct import DirectStudy

        yield DirectStudy(study(name, url), folders(url, checkpoints, artifacts))
        return
    from mnist_tune.serve.remote_study import RemoteStudy
    from mnist_tune.serve.spool import spool, spool_parent

    if artifacts is not None:
        raise UserError("--artifacts: the head keeps the files of trials; leave it out")
    with spool(spool_parent(checkpoints)) as folder:
        yield RemoteStudy(_head(url), name, folder)


def _head(url: str | None, answers_within: float | None = None) -> Head:
    from mnist_tune.serve.address import HeadAddress
    from mnist_tune.serve.client import ANSWER_SECONDS, Head
    from mnist_tune.storage.named import named_storage

    address = HeadAddress.parse(*named_storage(url))
    return Head(address, answers_within=ANSWER_SECONDS if answers_within is None else answers_within)
