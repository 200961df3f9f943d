"""The second port of a head, where optuna-dashboard is shown to whom the head lets in."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from sqlalchemy.engine import URL
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from mnist_tune.dashboard.guards import READING
from mnist_tune.files.locations import Folders
from mnist_tune.processes.environment import without_settings
from mnist_tune.processes.fork_server import own_imports
from mnist_tune.serve.answers import refused
from mnist_tune.serve.dashboard_process import READY, Told
from mnist_tune.serve.login import LOGIN, Login
from mnist_tune.text.wording import first_line

AT_ONCE = 4
"""How many requests the dashboard's process works on at the same time."""
MOST_WAITING = 60
"""How many wait for that at most."""
SECONDS_TO_START = 60.0
SECONDS_TO_ANSWER = 120.0
PAUSES = (1.0, 5.0, 30.0)
"""In seconds: how long to wait before a process that has ended is started again, the first time and so on."""
PAGES = ("/", "/dashboard")
"""The beginnings of the addresses that people open; all others are for the page's own scripts."""
PASSED_ON = {
    *("accept", "accept-encoding", "accept-language", "host", "origin", "range"),
    *("if-match", "if-modified-since", "if-none-match", "sec-fetch-mode", "sec-fetch-site"),
}
"""The headers of a request that the dashboard gets: no cookie, and no token."""
OF_CONNECTIONS = {"connection", "date", "keep-alive", "server", "set-cookie", "transfer-encoding"}
"""The headers of its answers that are not passed on."""
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]


class DashboardPort:
    """The dashboard of a head: its process, and the application in front of it."""

    def __init__(
        self, listener: socket.socket, storage: URL, folders: Folders, log: Callable[[str], None]
    ) -> None:
        self.listener = listener
        self.port: int = listener.getsockname()[1]
        self._storage = storage
        self._folders = folders
        self._log = log
        self._is_ready = asyncio.Event()
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._client: httpx.AsyncClient | None = None

    def in_front_of(self, head: ASGIApp, port: int, login: Login) -> ASGIApp:
        """The application of both ports, of which `port` is the head's own."""
        dashboard = Starlette(
            routes=[*login.routes(), Route("/{path:path}", self._for_people(login), methods=METHODS)],
            exception_handlers={HTTPException: refused},
        )
        dashboard.router.redirect_slashes = False

        async def by_port(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["server"][1] == self.port:
                # A session is that of the head, so its cookie has the name that it has there.
                of_head = {**scope, "server": (scope["server"][0], port)}
                await dashboard(of_head, receive, send)
            else:
                await head(scope, receive, send)

        return by_port

    async def keep(self) -> None:
        """Run the dashboard's process, and start it again when it ends, for as long as the head runs."""
        ends = 0
        while True:
            try:
                why = await self._run()
            except OSError as error:
                why = f"cannot be started: {error.strerror or error}"
            except Exception as error:  # whatever it is, it is tried again
                why = f"failed ({type(error).__name__})"
            self._log(f"dashboard: {why}; it is started again")
            await asyncio.sleep(PAUSES[min(ends, len(PAUSES) - 1)])
            ends += 1

    async def _run(self) -> str:
        """Run the process once; why it has ended. Raises OSError."""
        with _private_socket() as (path, inner):
            transport = httpx.AsyncHTTPTransport(uds=str(path))
            async with httpx.AsyncClient(
                transport=transport, timeout=SECONDS_TO_ANSWER, trust_env=False
            ) as self._client:
                return await self._run_at(path.parent, inner)

    async def _run_at(self, folder: Path, inner: socket.socket) -> str:
        told = Told(
            storage=self._storage.render_as_string(hide_password=False),
            checkpoints=self._folders.checkpoints,
            artifacts=self._folders.artifacts,
            listener=inner.fileno(),
            folder=folder,
        )
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mnist_tune.serve.dashboard_process"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=without_settings() | own_imports(),
            pass_fds=[inner.fileno()],
            start_new_session=True,  # it ends with us, and not by a signal from the terminal
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with contextlib.suppress(OSError):  # it has ended already
                process.stdin.write(f"{told.model_dump_json()}\n".encode())
                await process.stdin.drain()
            said = first_line((await process.stdout.readline()).decode("utf-8", "replace"))
            if said != READY:
                await process.wait()
                return f"cannot be started: {said or 'it says nothing'}"
            self._is_ready.set()
            code = await process.wait()
            return f"has ended ({code})"
        finally:
            self._is_ready.clear()
            if process.returncode is None:
                process.kill()
                await process.wait()

    def _for_people(self, login: Login) -> Callable[[Request], object]:
        async def answer(request: Request) -> Response:
            if login.lets_in(request):
                return _PassedOn(self, request)
            path = request.url.path
            if request.method in READING and (path == PAGES[0] or path.startswith(PAGES[1])):
                return RedirectResponse(LOGIN, 303)
            raise HTTPException(401, "this head wants a token", {"WWW-Authenticate": "Bearer"})

        return answer

    @contextlib.asynccontextmanager
    async def answer_to(self, request: Request) -> AsyncIterator[httpx.Response]:
        """What the process answers, a few at a time. Raises HTTPException: it cannot now."""
        if self._waiting >= MOST_WAITING:
            raise _away("many look at the dashboard already")
        self._waiting += 1
        try:
            async with self._at_once:
                try:
                    async with asyncio.timeout(SECONDS_TO_START):
                        await self._is_ready.wait()
                except TimeoutError:
                    raise _away("the dashboard is being started") from None
                assert self._client is not None
                # Writes are refused before their bodies are read, so that none is passed on.
                asked = self._client.build_request(
                    request.method,
                    httpx.URL("http://dashboard").copy_with(raw_path=_raw_path(request)),
                    headers=[(name, value) for name, value in request.headers.items() if name in PASSED_ON],
                )
                try:
                    answer = await self._client.send(asked, stream=True)
                except (httpx.HTTPError, OSError, RuntimeError):  # closed a moment ago, say
                    raise _away("the dashboard does not answer") from None
                try:
                    yield answer
                finally:
                    await answer.aclose()
        finally:
            self._waiting -= 1


class _PassedOn(Response):
    """An answer of the dashboard's process, passed on as it comes."""

    def __init__(self, port: DashboardPort, request: Request) -> None:
        super().__init__()
        self._port = port
        self._request = request

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        host = self._request.headers.get("host", "")
        async with self._port.answer_to(self._request) as answer:
            headers = [
                (name.lower(), value)
                for name, value in answer.headers.raw
                if name.lower().decode("latin-1") not in (*OF_CONNECTIONS, "location")
            ]
            if (location := answer.headers.get("location")) is not None:
                headers.append((b"location", _within(location, host).encode("latin-1")))
            headers.append((b"referrer-policy", b"same-origin"))
            if not self._request.url.path.startswith("/static/"):
                headers.append((b"cache-control", b"no-store"))
            await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
            async for piece in answer.aiter_raw():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


@contextlib.contextmanager
def _private_socket() -> Iterator[tuple[Path, socket.socket]]:
    """A listening socket in a folder that only this user can enter."""
    for parent in (None, "/tmp"):
        folder = Path(tempfile.mkdtemp(prefix="mnist-tune-", dir=parent))
        path, listener = folder / "dashboard", socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(path))
        except OSError:
            listener.close()
            shutil.rmtree(folder, ignore_errors=True)
            if parent is not None:
                raise
            continue
        break
    try:
        with listener:
            listener.listen(AT_ONCE)
            yield path, listener
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _raw_path(request: Request) -> bytes:
    """The path and the query as the client has sent them."""
    path: bytes = request.scope.get("raw_path") or request.url.path.encode()
    query: bytes = request.scope["query_string"]
    return path.partition(b"?")[0] + (b"?" + query if query else b"")


def _within(location: str, host: str) -> str:
    """An address of the dashboard itself, without the scheme, which the process does not know."""
    parts = urlsplit(location)
    return parts._replace(scheme="", netloc="").geturl() if parts.netloc == host else location


def _away(why: str) -> HTTPException:
    return HTTPException(503, why, {"Retry-After": "5"})
