"""A file of tokens that is damaged, or no file, gets one line, which shows none of its values."""

from __future__ import annotations

import json
import os
import re
import traceback
from pathlib import Path
from typing import Any

import pytest

from mnist_tune.errors import UserError
from mnist_tune.serve.roles import Role
from mnist_tune.serve.tokens import Tokens

GOOD = {
    "name": "laptop",
    "role": "admin",
    "made": "2026-01-02T03:04:05Z",
    "id": "01234567",
    "sha256": "ab" * 32,
}
SECRET = "mnt_" + "s3cr3tT0ken" * 4


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path / "s.db.tokens")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "Invalid JSON"),
        ('{"tokens": [', "Invalid JSON"),
        ("[" * 100_000, "Invalid JSON"),
        ("[]", "Input should be an object"),
        ('{"tokens": {}}', "tokens: Input should be a valid "),
        ({"role": "root"}, "tokens.0.role: Input should be 'viewer', 'worker' or 'admin'"),
        ({"role": 1}, "tokens.0.role: Input should be"),
        ({"made": "2026-01-02T03:04:05"}, "tokens.0.made: Input should have timezone info"),
        ({"made": 5e99}, "tokens.0.made: "),
        ({"name": "a b"}, "tokens.0.name: use at most 64 letters"),
        ({"id": "../../x"}, "tokens.0.id: String should match"),
        ({"sha256": SECRET}, "tokens.0.sha256: String should match"),
        ({"sha256": "AB" * 32}, "tokens.0.sha256: String should match"),
        ({"sha256": None}, "tokens.0.sha256: Input should be a valid string"),
        ({"name": SECRET}, "tokens.0.name: names do not begin with mnt_"),
        ({"more": SECRET}, "tokens.0.more: Extra inputs are not permitted"),
    ],
)
def test_a_damaged_file_gets_one_line_that_shows_none_of_its_values(
    tokens: Tokens, content: str | dict[str, Any], says: str
) -> None:
    text = content if isinstance(content, str) else json.dumps({"tokens": [GOOD | content]})
    tokens.path.write_text(text, encoding="utf-8")
    tokens.path.chmod(0o600)
    for call in (tokens.listed, lambda: tokens.role_of("x"), lambda: tokens.add("b", Role.ADMIN)):
        with pytest.raises(UserError, match=re.escape(f"{tokens.path}: is damaged: {says}")) as caught:
            call()
        shown = "".join(traceback.format_exception(caught.value))
        assert "s3cr3t" not in shown + str(caught.value.__context__)
        assert "\n" not in str(caught.value)
    assert tokens.path.read_text(encoding="utf-8") == text
    assert not tokens.path.with_name("s.db.tokens.lock").exists()


def test_the_same_file_without_the_damage_is_read(tokens: Tokens) -> None:
    tokens.path.write_text(json.dumps({"tokens": [GOOD]}), encoding="utf-8")
    tokens.path.chmod(0o600)
    assert [token.name for token in tokens.listed()] == ["laptop"]
    tokens.path.write_text(json.dumps({"tokens": [GOOD, GOOD]}), encoding="utf-8")
    with pytest.raises(UserError, match="is damaged: two tokens have the same name"):
        tokens.listed()


def test_bytes_that_are_no_text_are_damage_too(tokens: Tokens) -> None:
    tokens.path.write_bytes(b'{"tokens": [{"name": "\xff"}]}')
    tokens.path.chmod(0o600)
    with pytest.raises(UserError, match="is damaged: "):
        tokens.listed()


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "loop").symlink_to("loop")
    for path, says in (
        (tmp_path, "it is not a regular file"),
        (tmp_path / "pipe", "it is not a regular file"),
        (tmp_path / "loop", "Too many levels of symbolic links"),
    ):
        for call in (Tokens(path).listed, lambda path=path: Tokens(path).add("a", Role.VIEWER)):
            with pytest.raises(UserError, match=f"{path}: cannot be read: {says}"):
                call()
