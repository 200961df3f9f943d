"""Runs a head: its application on uvicorn, its writer, and its look at workers that have fallen silent."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from mnist_tune.contract.study import StorageAway
from mnist_tune.errors import Damaged, MnistTuneError
from mnist_tune.files.locations import Folders
from mnist_tune.serve.app import app
from mnist_tune.serve.desk import Desk
from mnist_tune.serve.gate import Gate
from mnist_tune.serve.room import Room
from mnist_tune.serve.writer import Writer
from mnist_tune.service.direct import DirectStudies
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.worker.signals import ignored_signals, take_over

LOOK_SECONDS = 1.0
"""How often to ask whether it is time to look at heartbeats."""
GRACEFUL_SECONDS = 30
"""How long requests that have begun may take when the head is asked to stop."""


class _Uvicorn(uvicorn.Server):
    """Ends well when it is asked to: uvicorn's own way is to die of the signal in the end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is threading.main_thread():
            take_over(self.handle_exit, ignored_signals())
        yield


class Server:
    """A head over a storage and its folders."""

    def __init__(
        self, storage: GuardedStorage, folders: Folders, gate: Gate, room: Room, log: Callable[[str], None]
    ) -> None:
        self._storage = storage
        self._folders = folders
        self._gate = gate
        self._room = room
        self._log = log
        self._server: uvicorn.Server | None = None

    def run(self, listener: socket.socket, certificate: tuple[Path, Path] | None = None) -> None:
        """Answer at `listener` until SIGTERM, Ctrl-C or `stop`; what has begun is answered first.

        `certificate`: the PEM files of a certificate and its key, for TLS.
        """
        with Writer(self._storage) as writer:
            config = self._config(Desk(self._storage, self._folders, writer), certificate)
            self._server = _Uvicorn(config)
            self._server.run(sockets=[listener])

    def stop(self) -> None:
        """Have `run` end; any thread may call this."""
        if self._server is not None:
            self._server.should_exit = True

    def _config(self, desk: Desk, certificate: tuple[Path, Path] | None) -> uvicorn.Config:
        people = DirectStudies(self._storage, lambda: self._folders)
        application = app(desk, people, self._room, self._gate, self._log)
        chain, key = certificate or (None, None)
        application.router.lifespan_context = self._lifespan(desk)
        return uvicorn.Config(
            application,
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
            ssl_certfile=chain,
            ssl_keyfile=key,
        )

    def _lifespan(self, desk: Desk) -> Callable[[Starlette], contextlib.AbstractAsyncContextManager[None]]:
        @contextlib.asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            watch = asyncio.create_task(self._watch(desk))
            try:
                yield
            finally:
                watch.cancel()

        return lifespan

    async def _watch(self, desk: Desk) -> None:
        """Put back the cells of workers that have fallen silent, for as long as the head runs."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for study, asked in desk.put_back_stale().items():
                try:
                    happened = await asyncio.wrap_future(asked)
                except StorageAway:
                    continue  # it is asked again
                except (MnistTuneError, Damaged) as problem:
                    self._log(f"study '{study}': silent workers are not seen: {problem}")
                    continue
                for number, what in happened.items():
                    self._log(f"study '{study}': trial {number}: {what}")
