"""What `doctor` says of a head."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.serve.head_checks import head_checks
from tests.support.commands import Command
from tests.support.heads import running_head
from tests.support.studies import new_study


def test_a_head_that_answers_is_told_with_its_speed(tmp_path: Path, command: Command) -> None:
    study = new_study(tmp_path)
    with running_head(study.storage, tmp_path) as address:
        answer = command("doctor", "--storage", str(address), "--json")
    told = {check["check"]: check for check in answer.json["checks"]}
    assert told["head"]["verdict"] == "ok"
    assert told["head"]["says"] == f"{address.url} answers, not encrypted: 1 study"
    assert " ms an answer, the slowest " in told["latency"]["says"]
    assert not {"storage", "checkpoints", "artifacts"} & told.keys()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("http://127.0.0.1:9", "http://127.0.0.1:9 does not answer: "),
        ("http://user:secret@localhost:8080", "--storage: a head takes no user and no password"),
        ("http://", "--storage: write http://HOST:PORT"),
        ("https://localhost#sha256=12", "--storage: a certificate's fingerprint is 64 digits"),
    ],
)
def test_each_problem_is_one_line(text: str, says: str) -> None:
    (told,) = head_checks(text, "--storage")
    assert told.verdict == "problem"
    assert told.says.startswith(says)
    assert "secret" not in told.says


def test_a_command_that_needs_the_database_itself_says_so(command: Command) -> None:
    answer = command("dashboard", "--storage", "http://localhost:8080")
    assert answer.code == 2
    assert answer.err.startswith(
        "mnist-tune: --storage: names a head, and this needs the database itself; run it"
    )
    assert answer.err.endswith("or have the head show it: mnist-tune serve --dashboard\n")
