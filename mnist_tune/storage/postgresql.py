"""Connections to PostgreSQL that notice when the server is gone or says nothing.

Behind a half-dead proxy, or with a server that hangs, the kernel still acknowledges what is sent: TCP's own
timeouts never fire, and libpq waits for ever.
"""

from __future__ import annotations

import logging
import time
from typing import Any, TypeVar

import psycopg
from psycopg.abc import Buffer, PQGen
from psycopg.types.datetime import TimestampLoader
from sqlalchemy.engine import URL

from mnist_tune.storage.timeouts import Deadline

T = TypeVar("T")

logging.getLogger("psycopg").setLevel(logging.ERROR)  # a cut link raises an error: it need not be printed too

# A cut link raises an error after about three seconds; without these, a client hangs for minutes.
CONNECT_ARGUMENTS = {
    "connect_timeout": 3,
    "tcp_user_timeout": 3000,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 3,
}


class TimedConnection(psycopg.Connection[Any]):
    """A connection that closes and raises OperationalError if the server says nothing until the deadline."""

    deadline: Deadline

    def wait(self, gen: PQGen[T], *arguments: Any, **options: Any) -> T:
        # Statements, commits and rollbacks all wait for the server here.
        return super().wait(self._while_answered(gen), *arguments, **options)

    def _while_answered(self, gen: PQGen[T]) -> PQGen[T]:
        heard = time.monotonic()
        try:
            awaited = next(gen)
            while True:
                ready = yield awaited  # also every tenth of a second in which nothing was ready
                silent = time.monotonic() - heard
                if ready:
                    heard = time.monotonic()
                elif silent > self.deadline.seconds:
                    self.close()
                    raise psycopg.OperationalError(f"the server has said nothing for {silent:.0f} s")
                awaited = gen.send(ready)
        except StopIteration as end:
            result: T = end.value
            return result


class AnyTimestampLoader(TimestampLoader):
    """Returns a time as text where Python has no such time: infinity, a year before 1 or after 9999.

    psycopg raises an error for the whole answer, and with it for all rows that are sound.
    """

    def load(self, data: Buffer) -> Any:
        try:
            return super().load(data)
        except psycopg.DataError:
            return bytes(data).decode("utf-8", "replace")


def connect(url: URL, deadline: Deadline) -> TimedConnection:
    """Connect to the database at `url` as SQLAlchemy would; in UTC, unless $PGTZ says otherwise.

    Raises:
        psycopg.OperationalError: the server cannot be reached, or refuses.
    """
    _, named = url.get_dialect()().create_connect_args(url)
    # A client that is gone may have left a transaction open, with locks that other clients wait for.
    session = f"-c timezone=UTC -c idle_in_transaction_session_timeout={deadline.idle_milliseconds}"
    options = f"{named.get('options', '')} {session}"
    arguments: dict[str, Any] = {**CONNECT_ARGUMENTS, **named, "options": options}  # the URL's options win
    connection = TimedConnection.connect(**arguments)
    connection.deadline = deadline
    connection.adapters.register_loader("timestamp", AnyTimestampLoader)
    return connection
