"""`serve --notify` names who is told."""

from __future__ import annotations

from pathlib import Path

from mnist_tune.errors import MISTAKE
from tests.support.commands import Command


def test_who_cannot_be_told_is_a_mistake_before_anything_is_made(tmp_path: Path, command: Command) -> None:
    answer = command("serve", "--notify", "ftp://user:hunter2@host/")
    assert answer.code == MISTAKE
    assert answer.err == (
        "mnist-tune: --notify: events are sent to http:// and https:// only; write https://HOST/PATH\n"
    )
    assert list(tmp_path.iterdir()) == []
