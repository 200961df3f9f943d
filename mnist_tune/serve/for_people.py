"""What a head answers to people: their calls, the files of trials, and copies of studies."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mnist_tune.contract.wire import StudyName, wire_adapter
from mnist_tune.files.atomic_write import open_file
from mnist_tune.files.own_folder import own_folder
from mnist_tune.files.writable import nearest
from mnist_tune.serve.bodies import (
    content_of,
    declared_length,
    file_body,
    from_query,
    in_a_thread,
    json_body,
    parsed,
    receive_file,
)
from mnist_tune.serve.roles import Role
from mnist_tune.serve.room import Room
from mnist_tune.service.calls import StudiesForPeople
from mnist_tune.service.wire import CHANGING, LOOKING, call
from mnist_tune.study.copy import Copied
from mnist_tune.study.exchange import PREFIX

Ask: TypeAlias = Callable[[Request], Awaitable[Response]]
MOST_AT_ONCE = 4
"""The calls of people that run at the same time: they share the connections to the database with workers."""
FILE = "application/octet-stream"
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Kept(BaseModel):
    """A file that was kept for a trial, by its id."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, Field(max_length=100)]


class Wanted(BaseModel):
    """A study of which a copy is wanted."""

    model_config = ConfigDict(extra="forbid")

    study: StudyName


class Brought(BaseModel):
    """An archive of a study that is to have this name, else its own."""

    model_config = ConfigDict(extra="forbid")

    name: StudyName | None = None
    sha256: Sha256


class ForPeople:
    """The requests of people, one method each."""

    def __init__(self, service: StudiesForPeople, room: Room) -> None:
        self._service = service
        self._room = room
        self._packing = asyncio.Lock()
        self._asking = asyncio.Semaphore(MOST_AT_ONCE)

    def asked(self, at: str) -> list[tuple[str, Ask, str, Role]]:
        """The addresses below `at`, what answers there, the method, and whose token it takes."""
        return [
            (f"{at}/kept", self.file, "GET", Role.VIEWER),
            (f"{at}/copies", self.give_copy, "GET", Role.ADMIN),
            (f"{at}/copies", self.take_copy, "PUT", Role.ADMIN),
            *((f"{at}/people/{name}", self._call(name), "POST", Role.VIEWER) for name in LOOKING),
            *((f"{at}/people/{name}", self._call(name), "POST", Role.ADMIN) for name in CHANGING),
        ]

    async def file(self, request: Request) -> Response:
        """The content of a file that was kept for a trial."""
        file = await run_in_threadpool(self._service.kept_file, from_query(Kept, request).id)
        return StreamingResponse(content_of(file), media_type=FILE)

    async def give_copy(self, request: Request) -> Response:
        """A copy of a study with its files, as an archive. One at a time is made, if the disk has room."""
        wanted = from_query(Wanted, request).study
        # How large it becomes is not known before: it has no more than all files.
        size = await run_in_threadpool(self._room.taken)
        room = in_a_thread(self._room.reserved(nearest(self._room.folder), size, stays=False))
        async with self._packing, room:
            archive = await run_in_threadpool(self._service.copy_out, wanted)
        return StreamingResponse(content_of(archive), media_type=FILE)

    async def take_copy(self, request: Request) -> Response:
        """Make a study of an archive; returns what was copied."""
        brought = from_query(Brought, request)
        length, near = declared_length(request), nearest(self._room.folder)
        body = file_body(request, length)
        try:
            # Twice its size: the archive, and what is in it.
            async with (
                in_a_thread(self._room.reserved(near, 2 * length)),
                in_a_thread(own_folder(near, PREFIX)) as folder,
            ):
                path = folder / "archive"
                await receive_file(body, path, brought.sha256)
                with open_file(path) as archive:
                    copied = await run_in_threadpool(self._service.copy_in, archive, brought.name)
        except Exception:
            await body.discard()
            raise
        return Response(wire_adapter(Copied).dump_json(copied), media_type="application/json")

    def _call(self, name: str) -> Ask:
        async def answered(request: Request) -> Response:
            its_call = call(name)
            message = parsed(its_call.arguments, await json_body(request))
            arguments = {each: getattr(message, each) for each in its_call.names}
            async with self._asking:
                answer = await run_in_threadpool(getattr(self._service, name), **arguments)
            return Response(its_call.answer.dump_json(answer), media_type="application/json")

        return answered
