"""What a head answers over HTTP: the calls of its workers, and the files that they fetch and keep."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from mnist_tune import __version__
from mnist_tune.contract import wire
from mnist_tune.contract.claim import Claim
from mnist_tune.contract.study import StorageAway
from mnist_tune.files.atomic_write import open_file, write_whole
from mnist_tune.serve.answers import failed, gone, refused
from mnist_tune.serve.bodies import (
    PIECE,
    content_of,
    declared_length,
    file_body,
    from_query,
    in_a_thread,
    json_body,
    parsed,
    receive_file,
    refuse_compressed,
    small_file,
)
from mnist_tune.serve.desk import Desk
from mnist_tune.serve.for_people import FILE, Ask, ForPeople
from mnist_tune.serve.gate import Gate
from mnist_tune.serve.messages import File, Name, State
from mnist_tune.serve.pages import Pages
from mnist_tune.serve.roles import Role
from mnist_tune.serve.room import Room
from mnist_tune.serve.shortcut import CALLS, Shortcut
from mnist_tune.serve.waiting import Waiting
from mnist_tune.service.calls import StudiesForPeople
from mnist_tune.study.direct import DirectStudy
from mnist_tune.text.visible import visible

LONGEST_PROGRAM = 60
LONGEST_LINE = 200
MOST_OTHERS = 100
METHODS = ["GET", "POST", "PUT", "DELETE"]


class Api:
    """The requests of version 1, one method each."""

    def __init__(self, desk: Desk, people: StudiesForPeople, room: Room, log: Callable[[str], None]) -> None:
        self._desk = desk
        self._people = ForPeople(people, room)
        self._room = room
        self._log = log
        self._waiting = Waiting()
        self._others: set[str] = set()
        """The clients of other versions, and what they have asked for."""

    def shortcut(self, gate: Gate) -> Middleware:
        """What answers the calls of workers sooner than their route does."""
        return Middleware(Shortcut, self._for(gate, Role.WORKER, self.call))

    def routes(self, gate: Gate) -> list[Route]:
        """The addresses at which the requests are taken, and whose token each takes."""
        at = f"/api/v{wire.API}"
        asked = (
            (f"{at}/open", self.open, "POST", Role.VIEWER),
            (f"{CALLS}{{call}}", self.call, "POST", Role.WORKER),
            (f"{at}/states", self.fetch_state, "GET", Role.WORKER),
            (f"{at}/states", self.keep_state, "PUT", Role.WORKER),
            (f"{at}/files", self.keep_file, "PUT", Role.WORKER),
            *self._people.asked(at),
        )
        routes = [
            Route(path, self._for(gate, role, ask), methods=[method]) for path, ask, method, role in asked
        ]
        other = self._for(gate, Role.VIEWER, self.other_version)
        return [
            *routes,
            Route(f"{at}/{{rest:path}}", self._for(gate, Role.VIEWER, _unknown), methods=METHODS),
            Route("/api/{rest:path}", other, methods=METHODS),
        ]

    async def open(self, request: Request) -> Response:
        """A study's name, uid and spec."""
        opened = await self._waiting.answer(self._desk.open(parsed(Name, await json_body(request)).study))
        return Response(opened.model_dump_json(), media_type="application/json")

    async def call(self, request: Request) -> Response:
        """A call of the contract."""
        try:
            call = wire.call(name := request.path_params["call"])
        except KeyError:
            raise HTTPException(404, "there is no such call") from None
        message: Any = parsed(call.arguments, await json_body(request))
        arguments = {each: getattr(message, each) for each in call.names}
        answer = await self._waiting.answer(self._desk.answer(message.study, message.uid, name, arguments))
        return Response(call.answer.dump_json(answer), media_type="application/json")

    async def fetch_state(self, request: Request) -> Response:
        """The content of a state; 404 if it is not there."""
        state = from_query(State, request)
        path = await self._path(state, lambda study: study.state_path(state.key))
        source = await run_in_threadpool(open_file, path)  # refuses what is no file
        size = os.fstat(source.fileno()).st_size
        headers = {"Content-Length": str(size)}
        return StreamingResponse(content_of(source), 200, headers, FILE)

    async def keep_state(self, request: Request) -> Response:
        """Keep a state of an attempt that holds its lease."""
        file = from_query(File, request)
        if not file.name.startswith(f"{file.trial_id}-{file.token}-"):
            raise HTTPException(400, "the key of a state begins with its trial and its claim")
        await self._receive(request, file, await self._path(file, lambda study: study.state_path(file.name)))
        return JSONResponse(None)

    async def keep_file(self, request: Request) -> Response:
        """Keep a final file of an attempt that holds its lease; returns the attribute that points to it."""
        file = from_query(File, request)
        claim = Claim(file.trial_id, 0, file.token)
        path, pointer = await self._path(file, lambda study: study.file_path(claim, file.name))
        await self._receive(request, file, path)
        return JSONResponse(pointer)

    async def other_version(self, request: Request) -> Response:
        """The answer to who speaks another version."""
        asks = visible(f"{_caller(request)} asks for {request.url.path}")[:LONGEST_LINE]
        if asks not in self._others and len(self._others) < MOST_OTHERS:
            self._others.add(asks)
            self._log(f"{asks}, and this head, mnist-tune {__version__}, answers /api/v{wire.API} only")
        raise HTTPException(
            426, f"this head is mnist-tune {__version__} and answers version {wire.API}; install the same one"
        )

    def _for(self, gate: Gate, role: Role, ask: Ask) -> Ask:
        """A request that is answered only to those whose token has this role."""

        async def answer(request: Request) -> Response:
            try:
                gate.check(request, role)
                refuse_compressed(request)
                return await ask(request)
            except (HTTPException, ClientDisconnect):
                raise
            except asyncio.CancelledError:
                return failed(self._log, request, StorageAway("the head is being stopped"))
            except Exception as error:
                return failed(self._log, request, error)

        return answer

    async def _path(self, of: State | File, find: Callable[[DirectStudy], Any]) -> Any:
        try:
            return await self._waiting.answer(self._desk.with_study(of.study, of.uid, find))
        except ValueError as error:  # a name that leads elsewhere
            raise HTTPException(400, str(error)) from None

    async def _receive(self, request: Request, file: File, path: Path) -> None:
        length = declared_length(request)
        body = file_body(request, length)

        async def still_holds_its_lease() -> None:
            claim = Claim(file.trial_id, 0, file.token)
            await self._waiting.answer(self._desk.answer(file.study, file.uid, "renew", {"claim": claim}))

        def keep(content: bytes) -> None:
            with self._room.reserved(path.parent, length):
                write_whole(path, content)

        # Asked when all is there: nobody would delete what comes after the end of its attempt.
        try:
            if length <= PIECE:  # a log, say: each trial has one
                content = await small_file(body, file.sha256)
                await still_holds_its_lease()
                await run_in_threadpool(keep, content)
                return
            await still_holds_its_lease()
            async with in_a_thread(self._room.reserved(path.parent, length)):
                await receive_file(body, path, file.sha256, still_holds_its_lease)
        except Exception:
            await body.discard()
            raise


def app(
    desk: Desk,
    service: StudiesForPeople,
    room: Room,
    gate: Gate,
    log: Callable[[str], None],
    dashboard: int | None = None,
) -> Starlette:
    """The application of a head. Its `state.pages` are to end before it does.

    `dashboard`: the port at which the same head shows the dashboard, if it does.
    """
    pages = Pages(service, gate, dashboard)
    api = Api(desk, service, room, log)
    application = Starlette(
        routes=[
            Route("/healthz", _healthy),
            *api.routes(gate),
            *pages.routes(),
        ],
        middleware=[pages.counting(), api.shortcut(gate)],
        exception_handlers={
            HTTPException: refused,
            ClientDisconnect: gone,
            Exception: partial(failed, log),  # of an answer that has begun
        },
    )
    application.state.pages = pages
    application.router.redirect_slashes = False  # the address of a redirection would be what a client says
    return application


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _unknown(_: Request) -> Response:
    raise HTTPException(404, "there is no such request")


def _caller(request: Request) -> str:
    """A client's address and program."""
    program = request.headers.get("user-agent", "")[:LONGEST_PROGRAM]
    return f"{request.client.host if request.client else 'somebody'} ({program})"
