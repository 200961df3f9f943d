"""Runs a head: its application on uvicorn, its writer, and its look at workers that have fallen silent."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from mnist_tune.files.locations import Folders
from mnist_tune.serve.app import app
from mnist_tune.serve.connections import Connections, Listener, most_connections, protocol
from mnist_tune.serve.dashboard_port import DashboardPort
from mnist_tune.serve.desk import Desk
from mnist_tune.serve.gate import Gate
from mnist_tune.serve.pages import Pages
from mnist_tune.serve.room import Room
from mnist_tune.serve.watch import Watch
from mnist_tune.serve.writer import Writer
from mnist_tune.service.direct import DirectStudies
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.study.exchange import clear_up_copies
from mnist_tune.text.wording import first_line
from mnist_tune.worker.signals import ignored_signals, take_over

GRACEFUL_SECONDS = 5
"""How long requests that have begun may take when the head is asked to stop."""
KEEP_ALIVE_SECONDS = 60
"""Longer than connections may be silent: these are ended by `Connections`."""
LIBRARIES = ("uvicorn.error", "asyncio")
"""The loggers that would print tracebacks."""


class Server:
    """A head over a storage and its folders."""

    def __init__(
        self,
        storage: GuardedStorage,
        folders: Folders,
        gate: Gate,
        room: Room,
        log: Callable[[str], None],
        dashboard: DashboardPort | None = None,
    ) -> None:
        self._storage = storage
        self._folders = folders
        self._gate = gate
        self._room = room
        self._log = log
        self._dashboard = dashboard
        self._connections = Connections(most_connections())
        self._server: _Uvicorn | None = None
        self._is_over = False

    def run(self, listener: socket.socket, certificate: tuple[Path, Path] | None = None) -> None:
        """Answer at `listener` until `stop`; what has begun is answered first.

        `certificate`: the PEM files of a certificate and its key, for TLS.
        """
        with contextlib.suppress(OSError):  # what is left does no harm
            clear_up_copies(self._folders)
        with Writer(self._storage) as writer, _in_one_line(self._log):
            port: int = listener.getsockname()[1]
            config, pages = self._config(Desk(self._storage, self._folders, writer), certificate, port)
            self._server = _Uvicorn(config, self._connections, pages)
            self._server.should_exit = self._is_over
            listeners = [listener, *([self._dashboard.listener] if self._dashboard is not None else [])]
            self._server.run(sockets=[Listener(each, self._connections) for each in listeners])

    def heed_signals(self) -> None:
        """Stop on SIGTERM, Ctrl-C and when the terminal is closed. Call from the main thread."""
        take_over(lambda *_: self.stop(), ignored_signals())

    def stop(self) -> None:
        """Have `run` end, also if it has not begun; any thread may call this."""
        self._is_over = True
        if self._server is not None:
            self._server.should_exit = True

    def _config(
        self, desk: Desk, certificate: tuple[Path, Path] | None, port: int
    ) -> tuple[uvicorn.Config, Pages]:
        people = DirectStudies(self._storage, lambda: self._folders)
        dashboard = self._dashboard
        application = app(
            desk, people, self._room, self._gate, self._log, None if dashboard is None else dashboard.port
        )
        pages: Pages = application.state.pages
        chain, key = certificate or (None, None)
        application.router.lifespan_context = self._lifespan(desk)
        config = uvicorn.Config(
            application if dashboard is None else dashboard.in_front_of(application, port, pages.login),
            loop="asyncio",  # another one accepts connections behind the listener's back
            http=protocol(self._connections),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            backlog=self._connections.at_once,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
            ssl_certfile=chain,
            ssl_keyfile=key,
        )
        return config, pages

    def _lifespan(self, desk: Desk) -> Callable[[Starlette], contextlib.AbstractAsyncContextManager[None]]:
        @contextlib.asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            watches = [Watch(desk, self._log).keep(), self._connections.keep_watch()]
            if self._dashboard is not None:
                watches.append(self._dashboard.keep())
            tasks = [asyncio.create_task(watch) for watch in watches]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)

        return lifespan


class _Uvicorn(uvicorn.Server):
    """Leaves signals to `Server`, and ends connections for which clients do nothing."""

    def __init__(self, config: uvicorn.Config, connections: Connections, pages: Pages) -> None:
        super().__init__(config)
        self._connections = connections
        self._pages = pages

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # uvicorn would end the process by the signal

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._pages.end()  # uvicorn waits until all that was asked is answered
        self._connections.seconds = 0.0  # a client need not agree to the end of its TLS connection
        await super().shutdown(sockets)


class _OneLine(logging.Handler):
    """Logs an error of a library as one line. Those of the application are logged by itself."""

    def __init__(self, log: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if not record.getMessage().startswith("Exception in ASGI application"):
            what = "" if error is None else f": {type(error).__name__}: {error}"
            self._log(first_line(record.getMessage()) + first_line(what))


@contextlib.contextmanager
def _in_one_line(log: Callable[[str], None]) -> Iterator[None]:
    """Within the block the libraries of a head log lines: no mistakes of clients, and no tracebacks."""
    handler = _OneLine(log)
    loggers = [logging.getLogger(name) for name in LIBRARIES]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
            logger.propagate = True
