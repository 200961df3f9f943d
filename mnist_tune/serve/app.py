"""What a head answers over HTTP: the calls of its workers, and the files that they fetch and keep."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from mnist_tune import __version__
from mnist_tune.contract import wire
from mnist_tune.contract.claim import Claim
from mnist_tune.files.atomic_write import open_file
from mnist_tune.jobs.hyperparameters import Count
from mnist_tune.serve.bodies import declared_length, json_body, pieces, receive_file
from mnist_tune.serve.copies import Copies
from mnist_tune.serve.desk import Desk
from mnist_tune.serve.gate import Gate
from mnist_tune.serve.roles import Role
from mnist_tune.serve.room import Room
from mnist_tune.service import wire as people
from mnist_tune.service.calls import StudiesForPeople
from mnist_tune.study.direct import DirectStudy

T = TypeVar("T", bound=BaseModel)

Ask: TypeAlias = Callable[[Request], Awaitable[Response]]
METHODS = ["GET", "POST", "PUT", "DELETE"]
Token = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Kept(_Message):
    """A file that was kept for a trial, by its id."""

    id: str


class Name(_Message):
    """A study by its name alone."""

    study: str


class State(_Message):
    """A state of a trial."""

    study: str
    uid: str
    key: str


class File(_Message):
    """A file that an attempt keeps: `name` is a state's key, or that of a final file."""

    study: str
    uid: str
    trial_id: Count
    token: Token
    name: str
    sha256: Sha256


class Api:
    """The requests of version 1, one method each."""

    def __init__(self, desk: Desk, people: StudiesForPeople, room: Room) -> None:
        self._desk = desk
        self._people = people
        self._room = room
        self._copies = Copies(people, room)

    def routes(self, gate: Gate) -> list[Route]:
        """The addresses at which the requests are taken, and whose token each takes."""
        at = f"/api/v{wire.API}"
        asked = (
            (f"{at}/studies", self.studies, "GET", Role.VIEWER),
            (f"{at}/open", self.open, "POST", Role.VIEWER),
            (f"{at}/calls/{{call}}", self.call, "POST", Role.WORKER),
            (f"{at}/states", self.fetch_state, "GET", Role.WORKER),
            (f"{at}/states", self.keep_state, "PUT", Role.WORKER),
            (f"{at}/files", self.keep_file, "PUT", Role.WORKER),
            (f"{at}/kept", self.fetch_file, "GET", Role.VIEWER),
            (f"{at}/copies", self._copies.give, "GET", Role.VIEWER),
            (f"{at}/copies", self._copies.take, "PUT", Role.ADMIN),
            *((f"{at}/people/{name}", self.person(name), "POST", Role.VIEWER) for name in people.LOOKING),
            *((f"{at}/people/{name}", self.person(name), "POST", Role.ADMIN) for name in people.CHANGING),
        )
        routes = [Route(path, _for(gate, role, ask), methods=[method]) for path, ask, method, role in asked]
        return [*routes, Route("/api/{rest:path}", _for(gate, Role.VIEWER, _other_version), methods=METHODS)]

    async def studies(self, _: Request) -> Response:
        """The names of the studies."""
        return JSONResponse(await _answer(self._desk.names()))

    async def open(self, request: Request) -> Response:
        """A study's name, uid and spec."""
        study = await _answer(self._desk.open(_parsed(Name, await json_body(request)).study))
        opened = wire.OpenedStudy(study=study.name, uid=study.uid, spec=study.spec.stored())
        return Response(opened.model_dump_json(), media_type="application/json")

    async def call(self, request: Request) -> Response:
        """A call of the contract."""
        try:
            call = wire.call(name := request.path_params["call"])
        except KeyError:
            raise HTTPException(404, "there is no such call") from None
        message: Any = _parsed(call.arguments, await json_body(request))
        arguments = {each: getattr(message, each) for each in call.names}
        answer = await _answer(self._desk.answer(message.study, message.uid, name, arguments))
        return Response(call.answer.dump_json(answer), media_type="application/json")

    def person(self, name: str) -> Ask:
        """What answers the call of people with this name."""

        async def answered(request: Request) -> Response:
            call = people.call(name)
            message = _parsed(call.arguments, await json_body(request))
            arguments = {each: getattr(message, each) for each in call.names}
            answer = await run_in_threadpool(getattr(self._people, name), **arguments)
            return Response(call.answer.dump_json(answer), media_type="application/json")

        return answered

    async def fetch_file(self, request: Request) -> Response:
        """The content of a file that was kept for a trial."""
        wanted = _from_query(Kept, request)
        file = await run_in_threadpool(self._people.kept_file, wanted.id)
        return StreamingResponse(pieces(file), media_type="application/octet-stream")

    async def fetch_state(self, request: Request) -> Response:
        """The content of a state; 404 if it is not there."""
        state = _from_query(State, request)
        path = await self._path(state, lambda study: study.state_path(state.key))
        return StreamingResponse(
            pieces(await run_in_threadpool(open_file, path)), media_type="application/octet-stream"
        )

    async def keep_state(self, request: Request) -> Response:
        """Keep a state of an attempt that holds its lease."""
        file = _from_query(File, request)
        if not file.name.startswith(f"{file.trial_id}-{file.token}-"):
            raise HTTPException(400, "the key of a state begins with its trial and its claim")
        await self._receive(request, file, await self._path(file, lambda study: study.state_path(file.name)))
        return JSONResponse(None)

    async def keep_file(self, request: Request) -> Response:
        """Keep a final file of an attempt that holds its lease; returns the attribute that points to it."""
        file = _from_query(File, request)
        claim = Claim(file.trial_id, 0, file.token)
        path, pointer = await self._path(file, lambda study: study.file_path(claim, file.name))
        await self._receive(request, file, path)
        return JSONResponse(pointer)

    async def _path(self, of: State | File, find: Callable[[DirectStudy], Any]) -> Any:
        try:
            return await _answer(self._desk.with_study(of.study, of.uid, find))
        except ValueError as error:  # a name that leads elsewhere
            raise HTTPException(400, str(error)) from None

    async def _receive(self, request: Request, file: File, path: Path) -> None:
        claim = Claim(file.trial_id, 0, file.token)
        await _answer(self._desk.answer(file.study, file.uid, "renew", {"claim": claim}))
        await run_in_threadpool(self._room.reserve, path.parent, declared_length(request))
        await receive_file(request, path, file.sha256)


def app(
    desk: Desk, service: StudiesForPeople, room: Room, gate: Gate, log: Callable[[str], None]
) -> Starlette:
    """The application of a head."""
    return Starlette(
        routes=[Route("/healthz", _healthy), *Api(desk, service, room).routes(gate)],
        exception_handlers={
            HTTPException: _refused,
            **{each.error: partial(_failed, log) for each in wire.FAILURES},
            Exception: partial(_failed, log),
        },
    )


def _for(gate: Gate, role: Role, ask: Ask) -> Ask:
    """A request that is answered only to those whose token has this role."""

    async def answer(request: Request) -> Response:
        gate.check(request, role)
        return await ask(request)

    return answer


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _other_version(_: Request) -> Response:
    raise HTTPException(
        426, f"this head is mnist-tune {__version__} and answers version {wire.API}; install the same version"
    )


async def _answer(asked: Future[Any]) -> Any:
    """The answer of the writer. A client that has gone away changes nothing: what it asked for is done."""
    return await asyncio.shield(asyncio.wrap_future(asked))


def _parsed(model: type[T], body: bytes) -> T:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise HTTPException(400, _complaint(error)) from None


def _from_query(model: type[T], request: Request) -> T:
    try:
        return model.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise HTTPException(400, _complaint(error)) from None


def _complaint(error: ValidationError) -> str:
    """What is wrong with a message, without what it says: that may be a secret."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    return ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    told = wire.Told(kind="refused", message=str(error.detail))
    return JSONResponse(told.model_dump(), error.status_code, error.headers)


def _failed(log: Callable[[str], None], request: Request, error: Exception) -> Response:
    known = wire.told(error)
    if known is None:
        log(f"{request.method} {request.url.path}: {type(error).__name__}: {error}")
        known = 500, wire.Told(kind="error", message="the head has failed; its log says how")
    status, told = known
    return JSONResponse(told.model_dump(), status)
