"""The dashboard of a head, in a process of its own: it reads, at a socket that only the head reaches.

It is heavy: it makes an object of each trial, and whole pages of JSON. In the head's process it would keep
the writer waiting for Python's lock, and here the system gives it what cores the rest leaves.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import threading
import warnings
from pathlib import Path
from socketserver import BaseServer
from typing import Any, TextIO

from pydantic import BaseModel, ConfigDict

from mnist_tune.dashboard.connections import Connections
from mnist_tune.dashboard.server import NICENESS, Handler, Server
from mnist_tune.errors import MnistTuneError
from mnist_tune.files.locations import Folder, Folders
from mnist_tune.text.wording import first_line

READY = "ready"
"""What the process says when it answers; anything else is why it cannot."""
POLL_SECONDS = 0.5


class Told(BaseModel):
    """What the head tells the process on its standard input, where nobody else sees the database's URL."""

    model_config = ConfigDict(extra="forbid")

    storage: str
    checkpoints: Folder
    artifacts: Folder
    listener: int
    """The descriptor of the socket at which it answers."""
    folder: Path
    """The folder of the socket. It is removed when the head is gone."""


class HeadsServer(Server):
    """Answers the head alone, which says who may ask and how many ask at once."""

    def __init__(self, listener: socket.socket) -> None:
        self.connections = Connections()
        BaseServer.__init__(self, "", Handler)
        self.socket = listener
        self.server_name, self.server_port = "localhost", 0
        self.setup_environ()

    def get_request(self) -> tuple[socket.socket, Any]:
        """A connection, and an address such as Python's server wants to see: a socket's path is none."""
        connection, _ = self.socket.accept()
        return connection, ("127.0.0.1", 0)


def main() -> None:
    """Serve the dashboard until the head ends, or closes our standard input."""
    told = Told.model_validate_json(sys.stdin.readline())
    threading.Thread(target=_leave_with, args=[sys.stdin, told.folder], daemon=True).start()
    os.nice(NICENESS)
    warnings.simplefilter("ignore")
    try:
        server = _server(told)
    except MnistTuneError as error:
        _say(str(error))
        sys.exit(error.exit_code)
    except Exception as error:  # whatever it is, the head logs it in one line
        _say(f"{type(error).__name__}: {error}")
        sys.exit(1)
    _say(READY)
    server.serve_forever(POLL_SECONDS)


def _server(told: Told) -> HeadsServer:
    from mnist_tune.dashboard.app import guarded_app
    from mnist_tune.storage.engine import parse_url
    from mnist_tune.storage.guarded import open_storage

    storage = open_storage(parse_url(told.storage, "--storage"))
    server = HeadsServer(socket.socket(fileno=told.listener))
    # The head has checked the name by which it was reached.
    server.set_app(guarded_app(storage, Folders(told.checkpoints, told.artifacts), bool, read_only=True))
    return server


def _say(line: str) -> None:
    print(first_line(line), flush=True)  # noqa: T201


def _leave_with(head: TextIO, folder: Path) -> None:
    """End this process when the head has."""
    head.read()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main()
