"""A password of odd characters opens the database, and appears in no output, process, row or file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from mnist_tune.results.reading import read_results
from mnist_tune.storage.engine import shown, storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.storage.named import ENVIRONMENT_VARIABLE
from mnist_tune.study.store import open_study
from tests.support.commands import BY_EXEC, Command, finish, start_command
from tests.support.postgres_server import running_server
from tests.support.specs import TWO_CELLS, lease_lines, write_spec
from tests.support.tcp_proxy import tcp_proxy
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

MARK = "Xy7Zq"
"""A part of the password that is the same in every encoding of it."""
PASSWORD = f"{MARK}{{0}} {{b}} \"'`$x%41%s@:/?#&=+\\\\ é{MARK}"

SPEC = (
    TWO_CELLS
    + """
[training]
epochs = 4
precision = "fp32"

[data]
train_size = 200
validation_size = 100
"""
    + lease_lines(0.5, 6.0, patience=120.0)
)
FILES = ("--checkpoints", "files", "--artifacts", "files")


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a database that asks for the password."""
    with running_server(tmp_path_factory.mktemp("postgres")) as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            role = "CREATE ROLE tuner LOGIN PASSWORD {}"
            connection.execute(sql.SQL(role).format(sql.Literal(PASSWORD)))
            connection.execute("CREATE DATABASE studies OWNER tuner")
            rules = server.data / "pg_hba.conf"
            trusted = rules.read_text(encoding="utf-8")
            rules.write_text(f"host all tuner 127.0.0.1/32 scram-sha-256\n{trusted}", encoding="utf-8")
            connection.execute("SELECT pg_reload_conf()")
        url = make_url(server.url).set(username="tuner", password=PASSWORD, database="studies")
        yield url.render_as_string(hide_password=False)


def connect(url: str, password: str = PASSWORD) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection by psycopg alone, without our own code."""
    there = make_url(url)
    return psycopg.connect(
        host=there.host, port=there.port, user=there.username, dbname=there.database, password=password
    )


def rows(url: str) -> Iterator[str]:
    """Every row of every table, as text."""
    with connect(url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (table,) in tables:
            every = sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(table))
            yield from (text for (text,) in connection.execute(every))


def command_lines(folder: Path) -> list[str]:
    """The command lines of all processes that work in the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder:
                found.append((process / "cmdline").read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue  # it has ended
    return found


def test_the_server_does_ask_for_the_password(secret: str) -> None:
    with connect(secret) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("tuner",)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(secret, f"{PASSWORD}?")
    assert shown(storage_url(secret)).startswith("postgresql://tuner:***@127.0.0.1:")


def test_a_password_of_odd_characters_opens_the_database_and_shows_nowhere(
    secret: str, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def do(*arguments: str, url: str = secret, code: int = 0) -> None:
        monkeypatch.setenv(ENVIRONMENT_VARIABLE, url)
        answer = command(*arguments)
        assert answer.code == code, answer
        said.extend((answer.out, answer.err))

    spec = str(write_spec(tmp_path, SPEC))
    do("create-study", spec)
    study = open_study(open_storage(storage_url(secret)), "tiny")
    with tcp_proxy(secret) as proxy:
        run = start_command(
            "run", spec, "--workers", "1", *FILES, folder=tmp_path, url=proxy.url, environment=BY_EXEC
        )
        wait_until(lambda: any(attempt.history for attempt in read_results(study).attempts))
        lines = command_lines(tmp_path)
        for part in ("\0run\0", "\0worker\0", "\0training\0", "\0fork-server\0"):
            assert sum(part in line for line in lines) == 1, lines
        proxy.cut(reset=True)
        do("status", "tiny", url=proxy.url, code=2)
        do("doctor", url=proxy.url, code=1)
        proxy.heal()
        answer = finish(run)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        said += [answer.stdout, answer.stderr, *lines]
    do("status", "tiny")
    do("status", "tiny", "--json")
    do("status", "tino", code=2)
    do("status", "tiny", url=secret.replace("tuner:", "tuner:wrong"), code=2)
    do("studies", "--json")
    do("export", "tiny", "--output", "best.toml")
    do("doctor", "--json")
    do("verify", "tiny", *FILES)
    do("verify", "tiny", *FILES, "--json")
    do("copy-study", "tiny", "--to", "sqlite:///copy.db")
    do("copy-study", "tiny", "--to", secret, "--name", "copied", "--json")
    do("create-study", spec, "--storage", secret, "--json")
    do("pause", "copied", "--json")
    do("worker", "tiny", *FILES)
    said += rows(secret)
    assert len(said) > 100
    assert [text for text in said if MARK in text] == []
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "copy.db" for path in files)
    assert [path for path in files if MARK.encode() in path.read_bytes()] == []
