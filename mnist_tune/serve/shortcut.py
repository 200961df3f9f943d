"""Answers the calls of workers, of which there are many, before Starlette looks through its routes."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from mnist_tune.contract import wire
from mnist_tune.serve.answers import gone, refused
from mnist_tune.serve.for_people import Ask

CALLS = f"/api/v{wire.API}/calls/"
"""Where the address of a call begins; its name follows."""


class Shortcut:
    """Another application, and a shorter way to the calls of workers; other requests go through."""

    def __init__(self, app: ASGIApp, answer: Ask) -> None:
        """`answer` finds the call's name in the request's `path_params`, as it would in a route."""
        self._app = app
        self._answer = answer
        self._names = {f"{CALLS}{name}": name for name in wire.CALLS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = self._names.get(scope["path"]) if scope["type"] == "http" else None
        if name is None or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        scope["path_params"] = {"call": name}
        request = Request(scope, receive, send)
        try:
            response = await self._answer(request)
        except HTTPException as error:
            response = refused(request, error)
        except ClientDisconnect:
            response = gone()
        await response(scope, receive, send)
