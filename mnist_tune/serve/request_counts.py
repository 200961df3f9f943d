"""Counts the requests that a head answers: how many of which call, how they ended, and how long they took."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from itertools import accumulate
from typing import NamedTuple

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mnist_tune.contract import wire
from mnist_tune.serve.shortcut import CALLS

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""The upper ends of the ranges by which the times of requests are counted."""
METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE"}
OTHER = "other"
"""Stands for addresses and methods that there are not: clients may send any number of them."""
LEASE_LOST = 409
WITHOUT_AN_ANSWER = 499
"""Counted for a client that went away first; the number is nginx's."""


class Answered(NamedTuple):
    """What requests have in common that are counted together."""

    call: str
    method: str
    status: int


class RequestCounts:
    """The requests since the head has started. Only its event loop counts."""

    def __init__(self) -> None:
        self.answered: Counter[Answered] = Counter()
        self.file_bytes = 0
        """How many bytes of files have been taken in, of those too that were not kept in the end."""
        self._times: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}

    @property
    def leases_lost(self) -> int:
        """How often a worker was told that it had lost its lease."""
        return sum(count for each, count in self.answered.items() if each.status == LEASE_LOST)

    def count(self, answered: Answered, seconds: float | None) -> None:
        """Count a request that has ended; `seconds` is None if its time says nothing."""
        self.answered[answered] += 1
        if seconds is not None:
            times = self._times.setdefault(answered.call, [0] * (len(SECONDS) + 1))
            times[bisect_left(SECONDS, seconds)] += 1
            self._seconds[answered.call] = self._seconds.get(answered.call, 0.0) + seconds

    def times(self) -> dict[str, tuple[list[int], float]]:
        """By call: how many requests took at most each of `SECONDS`, then how many at all; and their sum."""
        return {call: (list(accumulate(times)), self._seconds[call]) for call, times in self._times.items()}


class Counted:
    """The requests of another application, counted."""

    def __init__(self, app: ASGIApp, counts: RequestCounts, endless: str) -> None:
        """`endless`: the address of a stream, which ends when the one who looks at it goes away."""
        self._app = app
        self._counts = counts
        self._endless = endless
        self._calls: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = WITHOUT_AN_ANSWER
        is_file = scope["method"] == "PUT"

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        async def received() -> Message:
            message = await receive()
            self._counts.file_bytes += len(message.get("body", b""))
            return message

        began = time.perf_counter()
        try:
            await self._app(scope, received if is_file else receive, sent)
        except Exception:
            status = 500  # the server answers so for us
            raise
        finally:
            call, method = self._call(scope), scope["method"]
            answered = Answered(call, method if method in METHODS else OTHER, status)
            self._counts.count(answered, None if call == self._endless else time.perf_counter() - began)

    def _call(self, scope: Scope) -> str:
        self._calls = self._calls or _calls(scope["app"])
        return scope["path"] if scope["path"] in self._calls else OTHER


def _calls(app: Starlette) -> set[str]:
    """The addresses that there are."""
    paths = {route.path for route in app.routes if isinstance(route, Route)}
    of_workers = {f"{CALLS}{call}" for call in wire.CALLS}
    return {path for path in paths if "{" not in path} | of_workers
