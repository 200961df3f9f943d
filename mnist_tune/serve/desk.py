"""The studies of a head: each is opened once, and answers the calls of all its workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from mnist_tune.contract.study import StorageAway, StorageFailed
from mnist_tune.contract.wire import OpenedStudy
from mnist_tune.errors import MnistTuneError
from mnist_tune.files.locations import Folders
from mnist_tune.serve.writer import Writer
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.study.at_work import present_studies
from mnist_tune.study.direct import DirectStudy, told_to_workers
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.settle import Beside
from mnist_tune.study.store import open_study

T = TypeVar("T")

SHARE = 0.02
"""The most of the writer's time that goes into seeing where somebody works: answers to workers come first."""
MOST_OPENED = 20
"""How many studies are opened at once by who watches them: a head's start must not make workers wait."""
UNREADABLE_SECONDS = 60.0
"""When to try again to open a study that cannot be read."""
ALONE = {"parameters", "decide", "sweep", "delete_state"}
"""Calls that cannot share a transaction: they have Optuna write or read, or touch files."""


class Desk:
    """Answers for the studies of one storage. Its methods return at once; answers come from the writer."""

    def __init__(self, storage: GuardedStorage, folders: Folders, writer: Writer) -> None:
        self._storage = storage
        self._folders = folders
        self._writer = writer
        self._studies: dict[str, tuple[str, DirectStudy]] = {}
        """Uid and study by name; only the writer's thread changes it."""
        self._unreadable: dict[str, tuple[str, float]] = {}
        """Why a study could not be opened, by name, and when that is to be tried again."""
        self._attend_at = 0.0
        self._levels = Beside()

    def open(self, name: str) -> Future[OpenedStudy]:
        """Open a study as it is now. The answer may be a UserError: there is none of this name."""

        def opened() -> OpenedStudy:
            study = self._open(name)
            self._studies[name][1].prepare()
            return OpenedStudy(study=study.name, uid=study.uid, spec=study.spec.stored())

        return self._alone(opened)

    def answer(self, name: str, uid: str, call: str, arguments: Mapping[str, Any]) -> Future[Any]:
        """What the study with this name and uid answers to a call of the contract."""
        return self._writer.ask(
            lambda: getattr(self._study(name, uid), call)(**arguments), alone=call in ALONE
        )

    def with_study(self, name: str, uid: str, use: Callable[[DirectStudy], T]) -> Future[T]:
        """What `use`, which asks no database, returns for the study with this name and uid."""
        known = self._studies.get(name)
        if known is None or known[0] != uid:
            return self._alone(lambda: use(self._study(name, uid)))
        answer: Future[T] = Future()
        try:
            answer.set_result(use(known[1]))
        except Exception as error:
            answer.set_exception(error)
        return answer

    def attend(self) -> Future[dict[str, str]]:
        """Open all studies that have running trials, and forget those that were deleted.

        The answer tells by name why a study cannot be opened.
        """
        return self._alone(self._attend)

    def put_back_stale(self) -> dict[str, Future[dict[int, str]]]:
        """Put the cells of silent workers back, in all open studies for which it is time; what happened.

        Then the next round of a race is added where it is due: who has ended the last one may be gone.
        """

        def looked_after(study: DirectStudy) -> dict[int, str]:
            happened = study.put_back_stale()
            study.settle()
            return happened

        studies = {name: study for name, (_, study) in list(self._studies.items())}
        return {
            name: self._alone(partial(looked_after, study))
            for name, study in studies.items()
            if study.is_time_to_look
        }

    def knows(self, name: str) -> bool:
        """Whether the study of this name is open, or could not be opened a moment ago."""
        return name in self._studies or name in self._unreadable

    @told_to_workers
    def _attend(self) -> dict[str, str]:
        began = time.monotonic()
        if began >= self._attend_at:
            present = present_studies(self._storage)
            for name, (uid, _) in list(self._studies.items()):
                if name not in present or not present[name].is_the_one(name, uid):
                    del self._studies[name]
            self._unreadable = {name: told for name, told in self._unreadable.items() if name in present}
            at_work = [name for name, study in present.items() if study.is_at_work]
            for name in [name for name in at_work if self._is_to_be_opened(name, began)][:MOST_OPENED]:
                self._try_to_open(name)
            took = time.monotonic() - began
            self._attend_at = began + took / SHARE
        return {name: why for name, (why, _) in self._unreadable.items()}

    def _is_to_be_opened(self, name: str, now: float) -> bool:
        return name not in self._studies and now >= self._unreadable.get(name, ("", now))[1]

    def _try_to_open(self, name: str) -> None:
        self._unreadable.pop(name, None)
        try:
            self._open(name)
        except StorageAway:
            raise
        except MnistTuneError as error:
            self._unreadable[name] = str(error), time.monotonic() + UNREADABLE_SECONDS

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
            self._studies[name] = study.uid, DirectStudy(study, self._folders, self._levels)
        return study
