"""Reads what a client sends: no more than is allowed, not for longer, and whole or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from mnist_tune.files.atomic_write import whole_file
from mnist_tune.serve.answers import complaint

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

LONGEST_JSON = 32_000_000
"""In bytes; the longest thing that a worker tells is an attempt's history, of some hundred bytes an epoch."""
SECONDS_FOR_JSON = 30.0
SECONDS_FOR_A_PIECE = 30.0
"""The most seconds between two pieces of a file."""
SLOWEST = 10_000
"""The bytes a second that a file has at least, after its first half minute."""
PIECE = 1 << 20


class Body:
    """What a request carries, piece by piece. Its client must not be too slow, nor go away."""

    def __init__(self, request: Request, seconds: float) -> None:
        """`seconds`: how long all of it may take from now on."""
        self._request = request
        self._seconds = seconds
        self._until = asyncio.get_running_loop().time() + seconds
        self._is_over = False

    async def pieces(self) -> AsyncIterator[bytes]:
        """The rest of it. Raises HTTPException, and ClientDisconnect if it was cut."""
        while not self._is_over:
            try:
                async with asyncio.timeout_at(self._end_of_a_piece()):
                    piece = await self._next()
            except TimeoutError:
                raise self._late() from None
            yield piece

    async def whole(self) -> bytes:
        """All of it. Raises HTTPException, and ClientDisconnect if it was cut."""
        content = []
        try:
            async with asyncio.timeout_at(self._end_of_a_piece()) as limit:
                while not self._is_over:
                    content.append(await self._next())
                    if not self._is_over:
                        limit.reschedule(self._end_of_a_piece())
        except TimeoutError:
            raise self._late() from None
        return b"".join(content)

    def _end_of_a_piece(self) -> float:
        return min(self._until, asyncio.get_running_loop().time() + SECONDS_FOR_A_PIECE)

    async def _next(self) -> bytes:
        message = await self._request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        self._is_over = not message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        return piece

    def _late(self) -> HTTPException:
        return HTTPException(
            408, f"the request did not arrive within {self._seconds:.0f} s, or nothing more of it came"
        )

    async def discard(self) -> None:
        """Take the rest of it and drop it: many clients read no answer before they have sent all."""
        with suppress(HTTPException, ClientDisconnect):
            async for _ in self.pieces():
                pass


def file_body(request: Request, length: int) -> Body:
    """The file that a request carries, which has so many bytes."""
    return Body(request, SECONDS_FOR_A_PIECE + length / SLOWEST)


async def json_body(request: Request, most: int = LONGEST_JSON) -> bytes:
    """The body of a request that is one text of at most so many bytes.

    Raises HTTPException, and ClientDisconnect.
    """
    declared_length(request, most)
    return await Body(request, SECONDS_FOR_JSON).whole()


async def small_file(body: Body, sha256: str) -> bytes:
    """The content of a file that is no longer than a piece.

    Raises HTTPException: it did not arrive, or it is not what was sent; ClientDisconnect: it was cut.
    """
    content = await body.whole()
    _check_hash(hashlib.sha256(content).hexdigest(), sha256)
    return content


async def receive_file(
    body: Body, path: Path, sha256: str, is_wanted: Callable[[], Coroutine[Any, Any, None]] | None = None
) -> None:
    """Make `path` a file with this content; it is there whole, or as it was before.

    `is_wanted` is called when all has arrived, and raises if the file is not to be kept.

    Raises:
        HTTPException: it did not arrive, or it is not what was sent.
        ClientDisconnect: it was cut.
        OSError: it cannot be written.
    """
    digest = hashlib.sha256()
    held = bytearray()
    async with in_a_thread(whole_file(path)) as sink:

        def write() -> None:
            digest.update(held)
            sink.write(held)
            held.clear()

        async for piece in body.pieces():
            held += piece
            if len(held) >= PIECE:
                await run_in_threadpool(write)
        await run_in_threadpool(write)
        _check_hash(digest.hexdigest(), sha256)
        if is_wanted is not None:
            await is_wanted()


@asynccontextmanager
async def in_a_thread(file: AbstractContextManager[T]) -> AsyncIterator[T]:
    """The same as `file`, but what it does at the ends of its block holds up nobody else."""
    opened = await run_in_threadpool(file.__enter__)
    try:
        yield opened
    except BaseException as error:
        await run_in_threadpool(file.__exit__, type(error), error, error.__traceback__)
        raise
    await run_in_threadpool(file.__exit__, None, None, None)


def _check_hash(arrived: str, sent: str) -> None:
    if not hmac.compare_digest(arrived, sent):
        raise HTTPException(400, "the file that arrived is not the one that was sent: its hash differs")


def refuse_compressed(request: Request) -> None:
    """Raise HTTPException if the request's body is not what it will be read as."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise HTTPException(415, "a body is not compressed")


def declared_length(request: Request, most: int | None = None) -> int:
    """How long the request's body says it is. Raises HTTPException if it says nothing, or too much."""
    declared = request.headers.get("content-length", "")
    if not (declared.isascii() and declared.isdigit()):
        raise HTTPException(411, "a request says how long it is")
    length = int(declared)
    if most is not None and length > most:
        raise HTTPException(413, f"a request may have {most} bytes")
    return length


async def content_of(source: BinaryIO) -> AsyncIterator[bytes]:
    """The content of a file, which is closed at its end."""
    with source:
        while piece := await run_in_threadpool(source.read, PIECE):
            yield piece


def parsed(model: type[M], body: bytes) -> M:
    """The message in a JSON text. Raises HTTPException."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise HTTPException(400, complaint(error)) from None


def from_query(model: type[M], request: Request) -> M:
    """The message in the query of a request's address. Raises HTTPException."""
    try:
        return model.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise HTTPException(400, complaint(error)) from None
