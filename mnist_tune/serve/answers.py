"""What a head answers to requests that fail: one line, which repeats no secret."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mnist_tune.contract import wire
from mnist_tune.text.visible import visible
from mnist_tune.text.wording import first_line

LONGEST_MESSAGE = 1_000


def complaint(error: ValidationError) -> str:
    """What is wrong with a message, without what it says: that may be a secret."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    return ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))


def refused(_: Request, error: Exception) -> Response:
    """The answer to a request that is refused, or that nobody understands."""
    assert isinstance(error, HTTPException)
    return _answer(error.status_code, wire.Told(kind="refused", message=str(error.detail)), error.headers)


def gone(*_: object) -> Response:
    """The answer to a client that has gone away."""
    return Response(status_code=400)  # nobody reads it


def failed(log: Callable[[str], None], request: Request, error: Exception) -> Response:
    """The answer to a request that has failed; what no client should ever see is logged."""
    known = wire.told(error)
    if known is None:
        log(first_line(f"{request.method} {request.url.path}: {type(error).__name__}: {error}"))
        known = 500, wire.Told(kind="error", message="the head has failed; its log says how")
    return _answer(*known)


def _answer(status: int, told: wire.Told, headers: Mapping[str, str] | None = None) -> Response:
    """An answer that repeats no secret of the head, nor the client's."""
    harmless = wire.Told(kind=told.kind, message=visible(told.message)[:LONGEST_MESSAGE])
    return JSONResponse(harmless.model_dump(), status, headers)
