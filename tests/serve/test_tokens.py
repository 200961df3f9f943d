"""Tokens are stored as hashes in a file that is the owner's alone; a change is seen by who has it open."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import stat
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mnist_tune.errors import UserError
from mnist_tune.serve.roles import Role
from mnist_tune.serve.tokens import LONGEST, Tokens
from mnist_tune.text.visible import TOKEN, visible
from tests.support.forked_processes import run_each


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """The mode that new files lack within the block."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "s.db.tokens"


@pytest.fixture
def tokens(file: Path) -> Tokens:
    return Tokens(file)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_token_is_known_by_what_was_shown_once_and_by_nothing_else(tokens: Tokens) -> None:
    made = {role: tokens.add(f"the-{role}", role) for role in Role}
    assert all(re.fullmatch(r"mnt_[\w-]{43}", token, re.ASCII) for token in made.values())
    assert len(set(made.values())) == len(made)
    assert {role: tokens.role_of(token) for role, token in made.items()} == {role: role for role in Role}
    found = tokens.find(made[Role.WORKER])
    assert found is not None
    assert (found.name, found.role) == ("the-worker", Role.WORKER)
    token = made[Role.ADMIN]
    (hashed,) = [each["sha256"] for each in stored(tokens.path) if each["role"] == "admin"]
    for wrong in (token[:-1], f"{token}A", token.removeprefix("mnt_"), token.swapcase(), "the-admin", hashed):
        assert tokens.role_of(wrong) is None


def stored(file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["tokens"]
    return found


@pytest.mark.parametrize("given", ["", " ", "\0", "é", "mnt_ключ", "\ud800", "m" * LONGEST, "m" * 1_000_000])
def test_whatever_an_attacker_sends_is_no_token_and_no_error(tokens: Tokens, given: str) -> None:
    tokens.add("one", Role.ADMIN)
    assert tokens.role_of(given) is None


def test_what_is_too_long_for_a_token_is_not_even_hashed(
    tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens.add("one", Role.ADMIN)
    monkeypatch.delattr("mnist_tune.serve.tokens._hash")
    assert tokens.role_of("m" * (LONGEST + 1)) is None


def test_every_entry_is_compared_in_constant_time_whichever_is_the_right_one(
    tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [tokens.add(name, Role.VIEWER) for name in ("first", "second", "third")]
    calls: list[tuple[int, int]] = []

    def compare(one: bytes, other: bytes) -> bool:
        calls.append((len(one), len(other)))
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    for token in (*made, "none"):
        calls.clear()
        tokens.role_of(token)
        assert calls == [(32, 32)] * 3


def test_the_file_holds_the_hash_and_no_part_of_the_token(tokens: Tokens) -> None:
    token = tokens.add("laptop", Role.ADMIN)
    text = tokens.path.read_text(encoding="utf-8")
    assert not [token[at : at + 8] for at in range(len(token) - 7) if token[at : at + 8] in text]
    assert stored(tokens.path)[0]["sha256"] == hashlib.sha256(token.encode()).hexdigest()
    (listed,) = tokens.listed()
    assert listed._fields == ("name", "role", "made", "id")
    assert listed.id not in stored(tokens.path)[0]["sha256"]


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o277])
def test_the_file_is_the_owners_alone_from_its_first_byte_under_any_umask(
    tokens: Tokens, mask: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def opening(path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        descriptor = opened(path, flags, mode, **more)
        if flags & os.O_CREAT:
            assert not os.fstat(descriptor).st_mode & 0o077, path
        return descriptor

    monkeypatch.setattr(os, "open", opening)
    with umask(mask):
        tokens.add("laptop", Role.ADMIN)
        tokens.add("gpu-1", Role.WORKER)
    assert mode(tokens.path) == 0o600
    assert {path.name: mode(path) & 0o077 for path in tokens.path.parent.iterdir()} == {
        "s.db.tokens": 0,
        "s.db.tokens.lock": 0,
    }


def test_a_file_that_was_open_to_others_is_refused_until_it_is_not(tokens: Tokens) -> None:
    token = tokens.add("laptop", Role.ADMIN)
    assert len(tokens.listed()) == 1
    for others in (0o640, 0o604, 0o660, 0o602):
        tokens.path.chmod(others)
        for call in (tokens.listed, lambda: tokens.role_of(token), lambda: tokens.add("b", Role.ADMIN)):
            with pytest.raises(UserError, match=r"open to other users; run: chmod 600 /\S+/s\.db\.tokens$"):
                call()
    tokens.path.chmod(0o600)
    assert tokens.role_of(token) is Role.ADMIN
    assert len(tokens.listed()) == 1


def test_what_another_process_changes_is_seen_at_the_next_call(tokens: Tokens, file: Path) -> None:
    assert tokens.listed() == []
    other = Tokens(file)
    token = other.add("laptop", Role.ADMIN)
    assert tokens.role_of(token) is Role.ADMIN
    other.revoke("laptop")
    assert tokens.role_of(token) is None
    again = other.add("laptop", Role.VIEWER)
    assert (tokens.role_of(token), tokens.role_of(again)) == (None, Role.VIEWER)
    file.unlink()
    assert tokens.role_of(again) is None


def test_a_file_that_has_not_changed_is_not_read_again(
    tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tokens.add("laptop", Role.ADMIN)
    assert tokens.role_of(token) is Role.ADMIN

    def read(path: Path) -> bytes:
        raise AssertionError(path)

    monkeypatch.setattr("mnist_tune.serve.tokens.read_private", read)
    assert tokens.role_of(token) is Role.ADMIN


def add_some(file: Path, first: str) -> None:
    tokens = Tokens(file)
    for number in range(10):
        tokens.add(f"{first}-{number}", Role.WORKER)


def test_many_that_add_at_once_lose_nothing(file: Path) -> None:
    add = partial(add_some, file)
    run_each(add, [f"process-{number}" for number in range(4)], at_once=4)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add, [f"thread-{number}" for number in range(4)]))
    names = [token.name for token in Tokens(file).listed()]
    assert len(names) == len(set(names)) == 80


def test_a_name_is_given_once_until_it_is_revoked(tokens: Tokens) -> None:
    tokens.add("gpu-1", Role.WORKER)
    with pytest.raises(UserError, match=r"there is a token 'gpu-1' in .*; choose another name"):
        tokens.add("gpu-1", Role.ADMIN)
    with pytest.raises(UserError, match=r"no token 'gpu-2' in .*; did you mean 'gpu-1'\?"):
        tokens.revoke("gpu-2")
    tokens.revoke("gpu-1")
    with pytest.raises(UserError, match=r"no token 'gpu-1' in .*; it holds none"):
        tokens.revoke("gpu-1")
    tokens.add("gpu-1", Role.ADMIN)


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "..", "é", "a\n", "a" * 65, "\x1b[31m"])
def test_names_are_plain(tokens: Tokens, name: str) -> None:
    for call in (lambda: tokens.add(name, Role.VIEWER), lambda: tokens.revoke(name)):
        with pytest.raises(UserError, match="no name of a token: use at most 64 letters, digits"):
            call()
    assert list(tokens.path.parent.iterdir()) == []


def test_a_token_in_the_place_of_its_name_is_not_repeated(tokens: Tokens) -> None:
    token = tokens.add("gpu-1", Role.WORKER)
    for call in (lambda: tokens.add(token, Role.VIEWER), lambda: tokens.revoke(token)):
        with pytest.raises(UserError, match="write the token's name") as caught:
            call()
        assert token[:12] not in "".join(traceback.format_exception(caught.value))


def test_a_link_that_a_person_made_stays_and_its_target_is_changed(tmp_path: Path, file: Path) -> None:
    target = tmp_path / "elsewhere" / "tokens"
    file.symlink_to(target)
    token = Tokens(file).add("laptop", Role.ADMIN)
    assert file.is_symlink()
    assert mode(target) == 0o600
    assert Tokens(target).role_of(token) is Tokens(file).role_of(token) is Role.ADMIN


def test_a_folder_that_cannot_be_written_is_named_with_the_way_out() -> None:
    with pytest.raises(
        UserError, match=r"/proc/tokens: cannot be written: .*; name another file with --tokens"
    ):
        Tokens(Path("/proc/tokens")).add("laptop", Role.ADMIN)


def test_a_token_is_hidden_wherever_text_is_shown(tokens: Tokens) -> None:
    token = tokens.add("laptop", Role.ADMIN)
    assert TOKEN.fullmatch(token)
    for text in (token, f"Bearer {token}", f"https://head/?token={token}&x", f"{token[:-8]}...", f"x{token}"):
        assert token[4:20] not in visible(text)
    assert visible(f"Bearer {token}, please") == "Bearer mnt_***, please"
    assert visible("/mnt/mnt_data/laptop.db") == "/mnt/mnt_data/laptop.db"
