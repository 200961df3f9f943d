"""The one thread of a head that uses the database: calls that wait together share one transaction."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mnist_tune.contract.study import LeaseLost
from mnist_tune.storage.guarded import GuardedStorage

T = TypeVar("T")

MOST_TOGETHER = 64
"""The most calls in one transaction: an answer leaves after the commit of all."""


@dataclass(frozen=True)
class _Task:
    call: Callable[[], Any]
    alone: bool
    answer: Future[Any] = field(default_factory=Future)

    def run(self) -> None:
        """Make the call in transactions of its own, and give its answer."""
        try:
            answer = self.call()
        except Exception as error:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(answer)


class Writer:
    """Answers calls on a storage, one after another; a context manager."""

    def __init__(self, storage: GuardedStorage) -> None:
        self._storage = storage
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="writer")

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Answer all calls that were made, then end."""
        self._tasks.put(None)
        self._thread.join()

    def ask(self, call: Callable[[], T], *, alone: bool) -> Future[T]:
        """Have a call made; its answer comes after what it has done is stored.

        Without `alone` it may share a transaction, see `GuardedStorage.group`, and may be made twice: it must
        be one that may be repeated after an error of the storage.
        """
        task = _Task(call, alone)
        self._tasks.put(task)
        return task.answer

    def _work(self) -> None:
        alone: deque[_Task] = deque()
        over = False
        while alone or not over:
            together: list[_Task] = []
            while len(together) < MOST_TOGETHER and not over:
                if self._tasks.empty() and (alone or together):
                    break
                task = self._tasks.get()
                if task is None:
                    over = True
                elif task.answer.set_running_or_notify_cancel():
                    (alone if task.alone else together).append(task)
            self._together(together)
            if alone:  # one at a time: it may take long, and heartbeats come meanwhile
                alone.popleft().run()

    def _together(self, tasks: list[_Task]) -> None:
        if len(tasks) > 1:
            try:
                with self._storage.group():
                    answers = [_answer_or_refusal(task.call) for task in tasks]
            except (
                Exception
            ):  # of one of them or of the commit: each is made again, and hears of its own errors
                pass
            else:
                for task, (answer, refusal) in zip(tasks, answers, strict=True):
                    if refusal is None:
                        task.answer.set_result(answer)
                    else:
                        task.answer.set_exception(refusal)
                return
        for task in tasks:
            task.run()


def _answer_or_refusal(call: Callable[[], T]) -> tuple[T | None, LeaseLost | None]:
    try:
        return call(), None
    except LeaseLost as refusal:
        return None, refusal
