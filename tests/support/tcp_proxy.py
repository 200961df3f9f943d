"""A TCP proxy between a worker and its database or its head, whose link can be cut and healed."""

from __future__ import annotations

import asyncio
import math
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy.engine import URL, make_url

RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: closing then sends RST
CHUNK = 65536


@contextmanager
def tcp_proxy(url: str) -> Iterator[TcpProxy]:
    """A proxy to the server of a URL, in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="proxy", daemon=True)
    thread.start()
    proxy = TcpProxy(make_url(url), loop)
    try:
        yield proxy
    finally:
        proxy.cut(reset=True)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


class TcpProxy:
    """Passes everything on, under `url`, until its link is cut."""

    def __init__(self, target: URL, loop: asyncio.AbstractEventLoop) -> None:
        self._target = target
        self._loop = loop
        self._port = 0  # the first time any free port
        self._server: asyncio.Server | None = None
        self._flow = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        self._lost_after, self._until_loss = b"", 0
        self._rate = math.inf
        self.heal()
        through = target.set(host="127.0.0.1", port=self._port)
        self.url = through.render_as_string(hide_password=False)

    def cut(self, *, reset: bool) -> None:
        """Reset all connections and refuse new ones; without `reset`, accept all and pass nothing on."""
        self._run(self._cut(reset))

    def heal(self, *, forget: bool = False) -> None:
        """Pass on what was held, and everything new; `forget` leaves present connections cut for ever."""
        self._run(self._heal(forget))

    def slow_down(self, rate: float) -> None:
        """Pass on so many bytes in a second of what each client sends."""
        self._rate = rate

    def lose_commit(self, number: int = 1) -> None:
        """Break the connection of the next COMMIT (or a later one) after the server has executed it."""
        self.lose_answer(b"COMMIT", number)

    def lose_answer(self, question: bytes, number: int = 1) -> None:
        """Break the connection of the next question with these bytes (or a later one) when it is answered."""
        self._lost_after, self._until_loss = question, number

    @property
    def has_lost_it(self) -> bool:
        """Whether the connection of that question was broken."""
        return self._until_loss == 0

    def _run(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(timeout=30)

    async def _cut(self, reset: bool) -> None:
        if not reset:
            self._flow.clear()
            return
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _heal(self, forget: bool) -> None:
        if forget:
            self._flow = asyncio.Event()
        self._flow.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
            self._port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        writers = [writer]
        try:
            flow = self._flow
            await flow.wait()
            to_server = await asyncio.open_connection(self._target.host, self._target.port)
            writers.append(to_server[1])
            answer_is_lost = asyncio.Event()
            pumps = [
                asyncio.ensure_future(self._ask(flow, reader, to_server[1], answer_is_lost)),
                asyncio.ensure_future(self._answer(flow, to_server[0], writer, answer_is_lost)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except asyncio.CancelledError:
            for stream in writers:
                stream.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                stream.transport.abort()
        except OSError:
            pass  # the server refuses connections
        finally:
            for stream in writers:
                stream.close()
            self._connections.discard(task)

    async def _ask(
        self,
        flow: asyncio.Event,
        client: asyncio.StreamReader,
        server: asyncio.StreamWriter,
        answer_is_lost: asyncio.Event,
    ) -> None:
        while question := await client.read(CHUNK):
            await flow.wait()
            if self._until_loss and self._lost_after in question:
                self._until_loss -= 1
                if self.has_lost_it:
                    answer_is_lost.set()
            server.write(question)
            await server.drain()
            await asyncio.sleep(len(question) / self._rate)
        await flow.wait()  # that the client has hung up must stay unknown too

    async def _answer(
        self,
        flow: asyncio.Event,
        server: asyncio.StreamReader,
        client: asyncio.StreamWriter,
        answer_is_lost: asyncio.Event,
    ) -> None:
        with suppress(ConnectionError):
            while answer := await server.read(CHUNK):
                await flow.wait()
                if answer_is_lost.is_set():
                    return
                client.write(answer)
                await client.drain()
