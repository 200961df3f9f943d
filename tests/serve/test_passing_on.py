"""What a head passes on to its dashboard's process: a few requests at a time, and none of their secrets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.engine import make_url
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from mnist_tune.serve import dashboard_port
from mnist_tune.serve.dashboard_port import AT_ONCE, DashboardPort
from mnist_tune.serve.gate import Gate
from mnist_tune.serve.login import Login
from mnist_tune.serve.roles import Role
from mnist_tune.serve.tokens import Tokens
from tests.support.studies import folders

Ask = Callable[[httpx.AsyncClient], Coroutine[Any, Any, None]]


async def _of_the_head(*_: Any) -> None:
    raise AssertionError("this is not for the head")


def asked(
    folder: Path, process: Callable[[Request], Coroutine[Any, Any, Response]], ask: Ask, *, ready: bool = True
) -> None:
    """Ask a head whose dashboard's process is the test's own, in one event loop."""
    gate = Gate(Tokens(folder / "tokens"), print, without_tokens=True)
    inner = Starlette(routes=[Route("/{path:path}", process, methods=["GET", "PUT", "TRACE"])])

    async def all_of_it() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = DashboardPort(listener, make_url("sqlite:///none.db"), folders(folder), print)
            port._client = httpx.AsyncClient(transport=httpx.ASGITransport(inner))
            if ready:
                port._is_ready.set()
            outer = httpx.ASGITransport(port.in_front_of(_of_the_head, 8080, Login(gate)))
            address = f"http://127.0.0.1:{port.port}"
            async with port._client, httpx.AsyncClient(transport=outer, base_url=address) as client:
                await ask(client)

    asyncio.run(all_of_it())


def test_the_process_sees_no_token_and_no_cookie(tmp_path: Path) -> None:
    token = Tokens(tmp_path / "tokens").add("one", Role.VIEWER)

    async def process(request: Request) -> Response:
        seen = {"query": request.url.query, "path": request.scope["raw_path"].decode()}
        return JSONResponse({**request.headers, **seen}, headers={"Set-Cookie": "a=b", "ETag": "x"})

    async def ask(client: httpx.AsyncClient) -> None:
        headers = {"Authorization": f"Bearer {token}", "Cookie": "c=d", "X-Forwarded-Host": "evil.example"}
        answer = await client.get("/api/a%2Fb?x=%20y&z", headers={**headers, "If-None-Match": "x"})
        seen = answer.json()
        assert (seen["path"], seen["query"]) == ("/api/a%2Fb", "x=%20y&z")
        assert (seen["host"], seen["if-none-match"]) == (client.base_url.netloc.decode(), "x")
        assert not {"authorization", "cookie", "x-forwarded-host"} & seen.keys()
        assert token not in answer.text
        assert "set-cookie" not in answer.headers
        assert answer.headers["etag"] == "x"

    asked(tmp_path, process, ask)


def test_a_few_are_asked_at_once_and_too_many_are_sent_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard_port, "MOST_WAITING", 10)
    at_once, most = 0, 0

    async def process(_: Request) -> Response:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.05)
        at_once -= 1
        return PlainTextResponse("ok")

    async def ask(client: httpx.AsyncClient) -> None:
        answers = await asyncio.gather(*(client.get("/") for _ in range(15)))
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [200] * 10 + [503] * 5
        assert all(answer.headers["retry-after"] for answer in answers if answer.status_code == 503)
        assert (await client.get("/")).status_code == 200, "there is room again"

    asked(tmp_path, process, ask)
    assert most == AT_ONCE


def test_while_it_starts_and_when_it_fails_is_said_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard_port, "SECONDS_TO_START", 0.05)

    async def process(_: Request) -> Response:
        raise httpx.ReadError("broken")

    async def expect(client: httpx.AsyncClient, why: str) -> None:
        answer = await client.get("/api/studies")
        assert (answer.status_code, answer.json()["message"]) == (503, why)

    asked(tmp_path, process, lambda client: expect(client, "the dashboard is being started"), ready=False)
    asked(tmp_path, process, lambda client: expect(client, "the dashboard does not answer"))


def test_its_redirections_lead_to_the_address_that_the_browser_knows(tmp_path: Path) -> None:
    async def process(request: Request) -> Response:
        return RedirectResponse(f"http://{request.headers['host']}/dashboard?a=b", 302)

    async def ask(client: httpx.AsyncClient) -> None:
        assert (await client.get("/")).headers["location"] == "/dashboard?a=b"

    asked(tmp_path, process, ask)
