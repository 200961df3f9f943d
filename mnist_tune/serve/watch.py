"""Watches the workers of all studies of a head from its start on: the cells of silent ones are put back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from mnist_tune.contract.study import StorageAway
from mnist_tune.errors import Damaged, MnistTuneError
from mnist_tune.serve.desk import Desk
from mnist_tune.text.wording import first_line

LOOK_SECONDS = 1.0
"""How often to ask whether it is time to look at heartbeats."""


class Watch:
    """Tells the log what has happened, and each problem once."""

    def __init__(self, desk: Desk, log: Callable[[str], None]) -> None:
        self._desk = desk
        self._log = log
        self._told: dict[str, str] = {}
        """The last problem of each study that has one; the key for all of them is empty."""

    async def keep(self) -> None:
        """Put back the cells of workers that have fallen silent, for as long as the head runs."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            unreadable = await self._answer("", self._desk.attend()) or {}
            silent = self._desk.put_back_stale()
            for study, asked in silent.items():
                for number, what in (await self._answer(study, asked) or {}).items():
                    self._log(f"study '{study}': trial {number}: {what}")
            for study, why in unreadable.items():
                self._tell(study, why)
            self._told = {
                study: why for study, why in self._told.items() if not study or self._desk.knows(study)
            }

    async def _answer(self, study: str, asked: Future[Any]) -> Any:
        try:
            answer = await asyncio.wrap_future(asked)
        except StorageAway:
            return None  # it is asked again
        except Exception as problem:  # whatever it is, the next look may succeed
            known = isinstance(problem, MnistTuneError | Damaged)
            self._tell(study, str(problem) if known else f"{type(problem).__name__}: {problem}")
            return None
        self._told.pop(study, None)
        return answer

    def _tell(self, study: str, why: str) -> None:
        if why != self._told.get(study):
            of_study = f"study '{study}': " if study else ""
            self._log(f"{of_study}silent workers are not seen: {first_line(why)}")
        self._told[study] = why
