"""A password in the wrong place, or in the wrong form, is not printed either."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from mnist_tune.storage.named import ENVIRONMENT_VARIABLE
from mnist_tune.text.visible import visible, without_passwords
from mnist_tune.verification.records import PASSWORD_IN_URL
from tests.support.commands import Command, finish, start_command
from tests.support.waiting import wait_until

SECRET = "s3cr3t"
AMBIGUOUS = [
    f"postgresql://u:p@x{SECRET}@127.0.0.1:1/db",
    f"postgresql://u:p@{SECRET}@{SECRET}@127.0.0.1:1/db",
    f"postgresql://u:p@x?{SECRET}@127.0.0.1:1/db",
    f"postgresql://u:p@x/{SECRET}@127.0.0.1:1/db",
    f"postgresql://u@corp:{SECRET}@127.0.0.1:1/db",
    f"postgresql://127.0.0.1:1/db?user=u@corp&password={SECRET}@x",
    f"mysql://u:p@x{SECRET}@127.0.0.1:1/db",
    f"sqlite://u:p@x{SECRET}@127.0.0.1:1/db",
]
WRONG = [
    f"postgresql://u:{SECRET}",
    f"postgresql://u:{SECRET}/db",
    f"postgresql://u:{SECRET}@127.0.0.1:1/db",
    f"postgresql://u:{SECRET}/x@127.0.0.1:1/db",
    f"postgresql://u:{SECRET}@127.0.0.1:1{SECRET}/db",
    f"postgresql://u@127.0.0.1:1/db?password={SECRET}",
    f"postgresql://u@127.0.0.1:1/db?pasword={SECRET}",
    f"postgresql://u:{SECRET}@127.0.0.1:1/db?connect_timeout=soon",
    f"mysql://u:{SECRET}@127.0.0.1:1/db",
    f"sqlite://u:{SECRET}@127.0.0.1:1/db",
    f"u:{SECRET}@127.0.0.1:1/db",
]


@pytest.mark.parametrize("url", AMBIGUOUS)
def test_a_url_of_several_at_signs_is_refused_with_the_way_to_write_them(command: Command, url: str) -> None:
    answer = command("studies", "--storage", url)
    assert (answer.code, answer.out) == (2, "")
    remedy = "write %40 for one that is part of a name or a password"
    assert answer.err == f"mnist-tune: --storage: has more than one '@'; {remedy}\n"


WITH_A_STORAGE = (
    "studies --storage URL",
    "--debug studies --storage URL",
    "doctor --storage URL",
    "doctor --storage URL --json",
    "copy-study tiny --to URL",
)
ELSEWHERE = (
    "status URL",
    "status tiny URL",
    "--debug run URL",
    "train URL",
    "report tiny --output URL",
    "worker tiny --max-trials URL",
    "worker tiny --device URL",
)


@pytest.mark.parametrize("words", [*WITH_A_STORAGE, *ELSEWHERE])
def test_no_part_of_a_password_is_printed_wherever_its_url_is_typed(command: Command, words: str) -> None:
    urls = (
        [*AMBIGUOUS, *WRONG]
        if words in WITH_A_STORAGE
        else [url for url in (*AMBIGUOUS, *WRONG) if "://" in url]
    )
    for url in urls:
        answer = command(*words.replace("URL", url).split())
        assert answer.code, url
        assert SECRET not in answer.out + answer.err, answer


def test_no_part_of_a_password_of_the_environment_is_printed(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url in (*AMBIGUOUS, *WRONG):
        monkeypatch.setenv(ENVIRONMENT_VARIABLE, url)
        for words in (("studies",), ("doctor",), ("--debug", "studies")):
            answer = command(*words)
            assert answer.code
            assert SECRET not in answer.out + answer.err


@pytest.mark.skipif(sys.platform != "linux", reason="what others see of a process is changed on Linux only")
@pytest.mark.parametrize("option", ["--storage {}", pytest.param("--storage={}", marks=pytest.mark.slow)])
def test_a_password_on_the_command_line_is_soon_seen_by_nobody(tmp_path: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # which keeps the command waiting
        url = f"postgresql://u:{SECRET}@127.0.0.1:{silent.getsockname()[1]}/db"
        process = start_command("studies", *option.format(url).split(), folder=tmp_path)
        seen = Path(f"/proc/{process.pid}/cmdline")
        wait_until(lambda: "u:***@127.0.0.1" in seen.read_text())
        assert SECRET not in seen.read_text()
        answer = finish(process)
    assert answer.returncode == 2
    assert SECRET not in answer.stdout + answer.stderr


def test_a_file_may_have_at_signs_in_its_name(command: Command) -> None:
    answer = command("studies", "--storage", "sqlite:///a@b@c.db")
    assert answer.err.startswith("mnist-tune: sqlite:///a%40b%40c.db: no such file"), answer


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://u:p@h/d", "postgresql://u:***@h/d"),
        ("see postgresql+psycopg://u:p@h/d, please", "see postgresql+psycopg://u:***@h/d, please"),
        ("postgresql://u:p@x@h/d is odd", "postgresql://*** is odd"),
        ("postgresql://h/d?user=u&password=p", "postgresql://h/d?***"),
        ("postgresql://u@h:5432/d; see 'doctor'", "postgresql://u@h:5432/d; see 'doctor'"),
        ("postgresql://[::1]:5432: cannot be used", "postgresql://[::1]:5432: cannot be used"),
        ("sqlite:///a@b:c@d.db", "sqlite:///a@b:c@d.db"),
        ("https://u:p@h/d", "https://u:***@h/d"),
        ("postgresql:/u:p@h/d: no such file", "postgresql:/u:***@h/d: no such file"),
        ("postgresql://u:***@h/d", "postgresql://u:***@h/d"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/"),
        ("worker gpu-1:4711 at 12:30", "worker gpu-1:4711 at 12:30"),
    ],
)
def test_urls_are_shown_without_their_passwords(text: str, shown: str) -> None:
    assert without_passwords(text) == visible(text) == shown


LONG = 250_000


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://{'.' * LONG}@x@",
        f"postgresql://{'a:' * LONG}@{'.' * LONG}@",
        f"postgresql://h/{'.' * LONG}@",
        f"postgresql://h:{'1' * LONG}@@",
        f"{'postgres+' * LONG} :/",
        f"{'postgres+' * LONG}:/",
        f"{'postgres-' * LONG}:/",
        "postgresql:/" * LONG,
        "a://" * LONG,
        "x:/a:" * LONG,
        "mnt_a" * LONG,
        "mnt_a/" * LONG,
    ],
    ids=lambda text: text[:20] + text[-6:],
)
def test_no_text_is_so_long_that_it_is_never_shown(text: str) -> None:
    # Where a part is looked at again and again, this takes minutes to hours.
    assert visible(text)
    assert PASSWORD_IN_URL.search(f"{text} http://host?password=mine")
