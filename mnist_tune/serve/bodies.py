"""Reads what a client sends: no more than is allowed, not for longer, and whole or not at all."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import anyio.from_thread
import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request

from mnist_tune.files.atomic_write import whole_file

LONGEST_JSON = 8_000_000
"""In bytes; the longest thing that a worker tells is an attempt's history, of some hundred bytes an epoch."""
PIECE = 1 << 18
SECONDS_FOR_JSON = 30.0
SECONDS_FOR_A_PIECE = 30.0
"""The most seconds between two pieces of a file."""


async def json_body(request: Request) -> bytes:
    """The body of a request that is one JSON text. Raises HTTPException."""
    declared_length(request, LONGEST_JSON)
    body = bytearray()
    try:
        async with asyncio.timeout(SECONDS_FOR_JSON):
            async for piece in request.stream():
                body += piece
                if len(body) > LONGEST_JSON:
                    raise HTTPException(413, f"a request may have {LONGEST_JSON} bytes")
    except TimeoutError:
        raise HTTPException(408, f"the request did not arrive within {SECONDS_FOR_JSON:g} s") from None
    return bytes(body)


async def receive_file(request: Request, path: Path, sha256: str) -> None:
    """Make `path` a file with the request's body; it is there whole, or as it was before.

    Raises:
        HTTPException: it did not arrive, or it is not what was sent.
        OSError: it cannot be written.
    """
    pieces = request.stream()

    async def next_piece() -> bytes:
        async with asyncio.timeout(SECONDS_FOR_A_PIECE):
            return await anext(pieces, b"")

    def write() -> None:
        digest = hashlib.sha256()
        with whole_file(path) as sink:
            while True:
                piece = anyio.from_thread.run(next_piece)
                if not piece:
                    break
                digest.update(piece)
                sink.write(piece)
            if not hmac.compare_digest(digest.hexdigest(), sha256):
                raise HTTPException(
                    400, "the file that arrived is not the one that was sent: its hash differs"
                )

    try:
        await anyio.to_thread.run_sync(write)
    except TimeoutError:
        raise HTTPException(408, f"nothing of the file came for {SECONDS_FOR_A_PIECE:g} s") from None


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """The content of a file, which is closed at its end."""
    with file:
        while piece := file.read(PIECE):
            yield piece


def declared_length(request: Request, most: int | None = None) -> int:
    """How long the request's body says it is. Raises HTTPException if it says nothing, or too much."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise HTTPException(415, "a body is not compressed")
    declared = request.headers.get("content-length", "")
    if not (declared.isascii() and declared.isdigit()):
        raise HTTPException(411, "a request says how long it is")
    length = int(declared)
    if most is not None and length > most:
        raise HTTPException(413, f"a request may have {most} bytes")
    return length


def no_room(why: str) -> OSError:
    """The error for a file that is refused before it is sent."""
    return OSError(errno.ENOSPC, why)
