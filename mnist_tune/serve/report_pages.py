"""The reports of a head's studies as pages: made anew when there is something new."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from starlette.concurrency import run_in_threadpool

from mnist_tune.errors import MnistTuneError
from mnist_tune.report import drawing
from mnist_tune.service.calls import StudiesForPeople

if TYPE_CHECKING:
    from mnist_tune.results.study_results import Results

MOST = 4
"""As many are kept; a page has about 5 MB."""


class ReportPage(NamedTuple):
    """A report as HTML; `mark` is another one for other results."""

    mark: str
    content: bytes


class ReportPages:
    """Makes the reports, one at a time."""

    def __init__(self, people: StudiesForPeople) -> None:
        self._people = people
        self._one_at_a_time = asyncio.Lock()
        self._pages: OrderedDict[str, ReportPage] = OrderedDict()
        self._drawing: asyncio.Task[bytes] | None = None
        self._is_over = False

    def end(self) -> None:
        """Have nobody wait for a report any more: the head is asked to stop. Call from its event loop."""
        self._is_over = True
        if self._drawing is not None:
            self._drawing.cancel()

    async def page(self, name: str) -> ReportPage:
        """The report of the study as it stands. Raises as `StudiesForPeople.results` does, and at the end."""
        async with self._one_at_a_time:
            page = await self._page(name)
            self._pages[name] = page
            self._pages.move_to_end(name)
            if len(self._pages) > MOST:
                self._pages.popitem(last=False)
            return page

    async def _page(self, name: str) -> ReportPage:
        results = await run_in_threadpool(self._people.results, name)
        mark = await run_in_threadpool(_mark, results)
        known = self._pages.get(name)
        if known is not None and known.mark == mark:
            return known
        told = await run_in_threadpool(drawing.what_is_told, results, self._people.where)
        return ReportPage(mark, await self._drawn(told))

    async def _drawn(self, told: bytes) -> bytes:
        if not self._is_over:
            self._drawing = asyncio.create_task(drawing.drawn(told))
            try:
                return await self._drawing
            except asyncio.CancelledError:
                if not self._is_over:
                    raise
            finally:
                self._drawing = None
        raise MnistTuneError("the head is stopping; load the page again when it is back")


def _mark(results: Results) -> str:
    """What is different if the report would be. How long ago a worker was heard of is no news."""
    workers = [replace(worker, seconds_since_beat=0.0) for worker in results.workers]
    # The text, since a NaN is another one each time it is read.
    return hashlib.sha256(repr(replace(results, workers=workers)).encode("utf-8", "replace")).hexdigest()
