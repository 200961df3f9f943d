"""The studies of a head: each is opened once, and answers the calls of all its workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from mnist_tune.contract.study import StorageFailed
from mnist_tune.contract.wire import OpenedStudy
from mnist_tune.files.locations import Folders
from mnist_tune.serve.writer import Writer
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.study.direct import DirectStudy, told_to_workers
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import open_study, study_names

T = TypeVar("T")

ALONE = {"register", "parameters", "decide", "sweep", "delete_state"}
"""Calls that cannot share a transaction: they migrate tables, have Optuna write or read, or touch files."""


class Desk:
    """Answers for the studies of one storage. Its methods return at once; answers come from the writer."""

    def __init__(self, storage: GuardedStorage, folders: Folders, writer: Writer) -> None:
        self._storage = storage
        self._folders = folders
        self._writer = writer
        self._studies: dict[str, tuple[str, DirectStudy]] = {}
        """Uid and study by name; only the writer's thread touches it."""

    def names(self) -> Future[list[str]]:
        """The names of the studies."""
        return self._alone(told_to_workers(lambda: study_names(self._storage)))

    def open(self, name: str) -> Future[OpenedStudy]:
        """Open a study as it is now. The answer may be a UserError: there is none of this name."""

        def opened() -> OpenedStudy:
            study = self._open(name)
            return OpenedStudy(study=study.name, uid=study.uid, spec=study.spec.stored())

        return self._alone(opened)

    def answer(self, name: str, uid: str, call: str, arguments: Mapping[str, Any]) -> Future[Any]:
        """What the study with this name and uid answers to a call of the contract."""
        return self._writer.ask(
            lambda: getattr(self._study(name, uid), call)(**arguments), alone=call in ALONE
        )

    def with_study(self, name: str, uid: str, use: Callable[[DirectStudy], T]) -> Future[T]:
        """What `use` returns for the study with this name and uid; it runs alone."""
        return self._alone(lambda: use(self._study(name, uid)))

    def put_back_stale(self) -> dict[str, Future[dict[int, str]]]:
        """Put the cells of silent workers back, in all studies that have had workers; what happened.

        Then the next round of a race is added where it is due: who has ended the last one may be gone.
        """

        def looked_after(study: DirectStudy) -> dict[int, str]:
            happened = study.put_back_stale()
            study.settle()
            return happened

        studies = {name: study for name, (_, study) in list(self._studies.items())}
        return {name: self._alone(partial(looked_after, study)) for name, study in studies.items()}

    def _alone(self, call: Callable[[], T]) -> Future[T]:
        return self._writer.ask(call, alone=True)

    def _study(self, name: str, uid: str) -> DirectStudy:
        known = self._studies.get(name)
        if known is None or known[0] != uid:
            if self._open(name).uid != uid:
                raise StorageFailed(f"the study '{name}' was deleted, and another has its name now")
            known = self._studies[name]
        return known[1]

    @told_to_workers
    def _open(self, name: str) -> OpenStudy:
        study = open_study(self._storage, name)
        known = self._studies.get(name)
        if known is None or known[0] != study.uid:
            self._studies[name] = study.uid, DirectStudy(study, self._folders)
        return study
