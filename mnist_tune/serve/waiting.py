"""Lets the event loop wait for the writer's answers: those that come together wake it once."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class Waiting:
    """Who waits in one event loop for answers of other threads."""

    def __init__(self) -> None:
        self._told: deque[asyncio.Future[None]] = deque()
        self._is_woken = False

    async def answer(self, asked: Future[T]) -> T:
        """The answer. A client that has gone away changes nothing: what it asked for is done."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[None] = loop.create_future()
        asked.add_done_callback(partial(self._tell, loop, waiting))
        await waiting
        return asked.result()

    def _tell(self, loop: asyncio.AbstractEventLoop, waiting: asyncio.Future[None], _: Future[Any]) -> None:
        """Have the loop go on with who waits; any thread may call this."""
        self._told.append(waiting)
        if not self._is_woken and not loop.is_closed():
            self._is_woken = True
            loop.call_soon_threadsafe(self._go_on)

    def _go_on(self) -> None:
        self._is_woken = False  # first: who is told from now on wakes the loop again
        while self._told:
            waiting = self._told.popleft()
            if not waiting.done():  # it may have been cancelled
                waiting.set_result(None)
