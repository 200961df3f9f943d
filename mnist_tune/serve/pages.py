"""What a head shows to people in a browser, and to Prometheus: its studies as they stand now."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TypeAlias
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from mnist_tune import __version__
from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.serve.gate import Gate, host_of
from mnist_tune.serve.html import FRAMELESS, GUARDED, html, rendered
from mnist_tune.serve.login import HOME, LOGIN, Login
from mnist_tune.serve.look import Lookout, StudyNow
from mnist_tune.serve.metrics import CONTENT_TYPE, metrics_text
from mnist_tune.serve.report_pages import ReportPages
from mnist_tune.serve.request_counts import Counted, RequestCounts
from mnist_tune.service.calls import StudiesForPeople
from mnist_tune.text.times import local_time

Ask: TypeAlias = Callable[[Request], Awaitable[Response]]
EVENTS, REPORT, METRICS = "/events", "/studies", "/metrics"
MOST_STREAMS = 100
"""As many browsers may look at what happens at once; each costs a connection."""
SECONDS = 1.0
"""Between two looks for something new."""
SECONDS_OF_SILENCE = 15.0
"""After so many a stream says that it is still there: proxies end silent ones."""


class Pages:
    """The pages of a head, and what it counts."""

    def __init__(self, people: StudiesForPeople, gate: Gate, dashboard: int | None = None) -> None:
        """`dashboard`: the port of this machine at which the dashboard is shown, if it is."""
        self._people = people
        self._dashboard = dashboard
        self.login = Login(gate)
        self._lookout = Lookout(people)
        self._reports = ReportPages(people)
        self._counts = RequestCounts()
        self._streams = 0
        self._is_ending = False

    def routes(self) -> list[Route]:
        """The addresses of the pages."""
        return [
            Route(HOME, self._for_people(self._home), methods=["GET"]),
            Route(REPORT, self._for_people(self._report), methods=["GET"]),
            Route(EVENTS, self._for_programs(self._events), methods=["GET"]),
            Route(METRICS, self._for_programs(self._metrics), methods=["GET"]),
            *self.login.routes(),
        ]

    def counting(self) -> Middleware:
        """What counts all requests of the application."""
        return Middleware(Counted, self._counts, EVENTS)

    def end(self) -> None:
        """Have the streams end, and nobody wait for a report: the head is asked to stop."""
        self._is_ending = True
        self._reports.end()

    def _for_people(self, ask: Ask) -> Ask:
        """A page, which is shown to whom the gate or the login lets in."""

        async def answer(request: Request) -> Response:
            if not self.login.lets_in(request):
                return RedirectResponse(LOGIN, 303)
            try:
                return await ask(request)
            except MnistTuneError as error:
                status = 404 if isinstance(error, UserError) else 503
                return html("message.html", status=status, message=str(error))

        return answer

    def _for_programs(self, ask: Ask) -> Ask:
        """What programs read, for whom the gate or the login lets in."""

        async def answer(request: Request) -> Response:
            if not self.login.lets_in(request):
                raise HTTPException(401, "this head wants a token", {"WWW-Authenticate": "Bearer"})
            return await ask(request)

        return answer

    async def _home(self, request: Request) -> Response:
        return html(
            "home.html",
            now=_now_shown(await self._lookout.now()),
            storage=self._people.where,
            version=__version__,
            moment=local_time(datetime.now(UTC)),
            events=EVENTS,
            dashboard=self._dashboard and _at_port(request, self._dashboard),
            can_log_out=self.login.has_session(request),
        )

    async def _report(self, request: Request) -> Response:
        page = await self._reports.page(request.query_params.get("name", ""))
        headers = {
            **GUARDED,
            # The page's own policy says which scripts run; a frame it could not forbid by itself.
            "Content-Security-Policy": f"connect-src 'none'; form-action 'none'; {FRAMELESS}",
            "Cache-Control": "private, no-cache",
            "ETag": f'"{page.mark}"',
        }
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(page.content, headers=headers, media_type="text/html")

    async def _metrics(self, _: Request) -> Response:
        text = metrics_text(await self._lookout.now(), self._counts)
        return Response(text.encode(), media_type=CONTENT_TYPE)

    async def _events(self, request: Request) -> Response:
        if self._streams >= MOST_STREAMS:
            raise HTTPException(
                503, f"{MOST_STREAMS} browsers look at this head already", {"Retry-After": "60"}
            )
        headers = {**GUARDED, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        if request.method == "HEAD":
            return Response(headers=headers, media_type="text/event-stream")
        return StreamingResponse(self._stream(request), media_type="text/event-stream", headers=headers)

    async def _stream(self, request: Request) -> AsyncIterator[str]:
        """What has changed, as a line of JSON each time, for as long as the browser may see it."""
        self._streams += 1
        try:
            told, told_at = "", time.monotonic()
            while not self._is_ending and self._still_lets_in(request):
                news = await self._news()
                if news != told:
                    told, told_at = news, time.monotonic()
                    yield f"data: {told}\n\n"
                elif time.monotonic() > told_at + SECONDS_OF_SILENCE:
                    told_at = time.monotonic()
                    yield ":\n\n"
                await asyncio.sleep(SECONDS)
        finally:
            self._streams -= 1

    async def _news(self) -> str:
        try:
            return json.dumps({"html": _now_shown(await self._lookout.now())})
        except MnistTuneError as error:
            return json.dumps({"problem": str(error)})

    def _still_lets_in(self, request: Request) -> bool:
        try:
            return self.login.lets_in(request)
        except HTTPException:
            return False


def _at_port(request: Request, port: int) -> str | None:
    """Another port of the machine, by the name by which the browser calls it; None if that is unclear."""
    host = host_of(request)
    return f"//{f'[{host}]' if ':' in host else host}:{port}/" if host else None


def _now_shown(studies: Sequence[StudyNow]) -> Markup:
    """The part of the home page that changes."""
    workers = [(study, worker) for study in studies for worker in study.workers]
    return rendered("now.html", studies=studies, workers=workers, address=_address)


def _address(study: StudyNow) -> str:
    """Where the study's report is."""
    return f"{REPORT}?{urlencode({'name': study.name}, errors='replace')}"
