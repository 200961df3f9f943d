"""The study of the command `worker`: behind a head, or in a database that this machine reaches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_tune.cli import options
from mnist_tune.errors import UserError

if TYPE_CHECKING:
    from mnist_tune.contract.study import StudyForWorkers


def is_behind_a_head(url: str | None) -> bool:
    """Whether the option, the environment or the default names a head, and not a database."""
    from mnist_tune.serve.address import is_head
    from mnist_tune.storage.named import named_storage

    return is_head(named_storage(url)[0])


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

        yield DirectStudy(options.study(name, url), options.folders(url, checkpoints, artifacts))
        return
    from mnist_tune.serve.address import HeadAddress
    from mnist_tune.serve.client import Head
    from mnist_tune.serve.remote_study import RemoteStudy
    from mnist_tune.serve.spool import spool, spool_parent
    from mnist_tune.storage.named import named_storage

    if artifacts is not None:
        raise UserError("--artifacts: the head keeps the files of trials; leave it out")
    with spool(spool_parent(checkpoints)) as folder:
        yield RemoteStudy(Head(HeadAddress.parse(*named_storage(url))), name, folder)
