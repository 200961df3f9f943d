"""Studies with their files, as archives that are fetched from a head and brought to it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mnist_tune.contract.wire import wire_adapter
from mnist_tune.files.atomic_write import open_file
from mnist_tune.files.writable import nearest
from mnist_tune.serve.bodies import declared_length, pieces, receive_file
from mnist_tune.serve.room import Room
from mnist_tune.service.calls import StudiesForPeople
from mnist_tune.study.copy import Copied


class Copies:
    """Gives and takes copies of studies."""

    def __init__(self, people: StudiesForPeople, room: Room) -> None:
        self._people = people
        self._room = room

    async def give(self, request: Request) -> Response:
        """A copy of the study that the query names."""
        archive = await run_in_threadpool(self._people.copy_out, request.query_params.get("study", ""))
        return StreamingResponse(pieces(archive), media_type="application/octet-stream")

    async def take(self, request: Request) -> Response:
        """Make a study of an archive; returns what was copied."""
        size = declared_length(request)
        near = self._room.folder
        await run_in_threadpool(self._room.reserve, near, 2 * size)  # the archive, and what is in it
        with tempfile.TemporaryDirectory(prefix=".mnist-tune-copy-", dir=nearest(near)) as folder:
            path = Path(folder) / "archive"
            await receive_file(request, path, request.query_params.get("sha256", ""))
            with open_file(path) as archive:
                name = request.query_params.get("name")
                copied = await run_in_threadpool(self._people.copy_in, archive, name)
        return Response(wire_adapter(Copied).dump_json(copied), media_type="application/json")
