"""Fixtures for all tests. MNIST is real, unpacked once a session into a folder of pytest's own."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from mnist_tune.__main__ import main
from mnist_tune.jobs.mnist import raw_files
from mnist_tune.storage import schema
from mnist_tune.storage.named import ENVIRONMENT_VARIABLE
from mnist_tune.study.open_study import OpenStudy
from tests.support.commands import STORED, Answer, Command
from tests.support.damaged_values import damaged_storage
from tests.support.made_once import keep_what_is_made_once
from tests.support.postgres_server import postgres_server
from tests.support.schema_template import SchemaTemplate
from tests.support.studies import new_study
from tests.support.tcp_proxy import TcpProxy, tcp_proxy

# A shell makes its background jobs ignore Ctrl-C, and nohup makes its command ignore SIGHUP; children inherit
# that. These tests are about commands on a terminal, where neither is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process more than cores, since tests also wait: for other processes, leases and disks."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session", autouse=True)
def what_is_made_once() -> Iterator[None]:
    """Keep what tests would otherwise have made for each command.

    The tables of each fresh SQLite file take a third of what is left.
    """
    with pytest.MonkeyPatch.context() as patch:
        keep_what_is_made_once(patch)
        patch.setattr(schema, "_create_schema", SchemaTemplate())
        yield


@pytest.fixture(scope="session")
def mnist_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with MNIST/raw/ in it; from then on also $MNIST_TUNE_DATA, which subprocesses inherit."""
    directory = tmp_path_factory.mktemp("mnist")
    raw_files.provide(directory)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, raw_files.ENVIRONMENT_VARIABLE, str(directory))
        yield directory


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real PostgreSQL server."""
    with postgres_server(tmp_path_factory.mktemp("postgres")) as url:
        yield url


@pytest.fixture
def postgres(server: str) -> str:
    """An empty database on the server."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS studies WITH (FORCE)")
        connection.execute("CREATE DATABASE studies")
    return server.removesuffix("postgres") + "studies"


@pytest.fixture
def proxy(postgres: str) -> Iterator[TcpProxy]:
    """A link to the empty database that can be cut."""
    with tcp_proxy(postgres) as proxy:
        yield proxy


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, once SQLite and once PostgreSQL: tests of it hold for both."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/{STORED}"
    url: str = request.getfixturevalue("postgres")
    return url


@pytest.fixture
def study(database: str, tmp_path: Path) -> OpenStudy:
    """A fresh study of eight cells, once in SQLite and once in PostgreSQL."""
    return new_study(tmp_path, url=database)


@pytest.fixture(scope="session")
def undamaged_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a storage without damage."""
    return damaged_storage(tmp_path_factory.mktemp("template")).parent


@pytest.fixture
def fresh_copy(undamaged_folder: Path, tmp_path: Path) -> Callable[[], Path]:
    """A function that puts a fresh copy of the sound storage in place and returns its file."""

    def copy() -> Path:
        for old in tmp_path.iterdir():
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        shutil.copytree(undamaged_folder, tmp_path, dirs_exist_ok=True)
        return tmp_path / STORED

    return copy


@pytest.fixture
def without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every download fails at once, in this process and in its children."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nothing listens there
    monkeypatch.setenv("no_proxy", "")
    # It is made at the first use, with the proxies of that time, and then kept.
    monkeypatch.setattr("urllib.request._opener", None)


@pytest.fixture
def command(
    tmp_path: Path,
    mnist_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Command]:
    """`mnist-tune` in this process, which is faster; its default storage is in the test's folder too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, f"sqlite:///{tmp_path}/{STORED}")
    # It would write over pytest's own command line.
    monkeypatch.setattr("mnist_tune.processes.title.set_title", lambda _: None)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["mnist-tune", *arguments])
        capsys.readouterr()
        code: Any = 0
        try:
            main()
        except SystemExit as leaving:
            code = leaving.code or 0
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)
