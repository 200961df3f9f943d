"""The tokens that a head accepts: a file that holds their names, roles and hashes, and never a token."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, ValidationError, model_validator

from mnist_tune.errors import Damaged, UserError
from mnist_tune.files.atomic_write import write_whole
from mnist_tune.files.private_files import OWNER_ONLY, one_at_a_time, read_private
from mnist_tune.serve.roles import Role
from mnist_tune.spec.documents import Section, did_you_mean
from mnist_tune.text.visible import TOKEN_PREFIX

SECRET_BYTES = 32
LONGEST = 200
"""More characters than any token has. Longer ones are refused unread."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def token_name(name: str) -> str:
    """Check the name of a token. Raises ValueError, which does not repeat it: it may be a token."""
    if name.startswith(TOKEN_PREFIX):
        raise ValueError(f"names do not begin with {TOKEN_PREFIX}, as tokens do; write the token's name")
    if not NAME.fullmatch(name):
        raise ValueError("use at most 64 letters, digits, '.', '_' and '-', a letter or digit first")
    return name


class Known(NamedTuple):
    """What may be said of a token: no part of the token, nor of its hash."""

    name: str
    role: Role
    made: datetime
    id: str
    """Tells it from an earlier token of the same name."""


class _Stored(Section):
    name: Annotated[str, AfterValidator(token_name)]
    role: Role
    made: AwareDatetime
    id: Annotated[str, Field(pattern="^[0-9a-f]{8}$")]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]

    @property
    def known(self) -> Known:
        return Known(self.name, self.role, self.made, self.id)


class _File(Section):
    # A person may have put a token itself where its hash belongs, and errors are printed.
    model_config = ConfigDict(hide_input_in_errors=True)

    tokens: tuple[_Stored, ...] = ()

    @model_validator(mode="after")
    def _check_names(self) -> _File:
        if len({token.name for token in self.tokens}) < len(self.tokens):
            raise ValueError("two tokens have the same name")
        return self


class Tokens:
    """The tokens in a file; a missing file holds none.

    A change by another process is seen at the next call. Every method raises UserError for a file that cannot
    be read, is damaged, or is open to other users.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[tuple[int, ...], tuple[_Stored, ...]] | None = None

    def add(self, name: str, role: Role) -> str:
        """Make a token and return it. It is not kept, so nobody can show it again.

        Raises:
            UserError: the name is taken or not allowed, or the file cannot be written.
        """
        self._check(name)
        token = TOKEN_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        made = datetime.now(UTC).replace(microsecond=0)
        new = _Stored(name=name, role=role, made=made, id=secrets.token_hex(4), sha256=_hash(token))

        def added(stored: tuple[_Stored, ...]) -> tuple[_Stored, ...]:
            if any(other.name == name for other in stored):
                raise UserError(
                    f"there is a token '{name}' in {self.path}; choose another name, "
                    f"or run 'mnist-tune token revoke {name}' first"
                )
            return (*stored, new)

        self._change(added)
        return token

    def revoke(self, name: str) -> None:
        """Forget a token, so that nobody can use it any more.

        Raises:
            UserError: there is none of this name, or the file cannot be written.
        """
        self._check(name)

        def without(stored: tuple[_Stored, ...]) -> tuple[_Stored, ...]:
            kept = tuple(other for other in stored if other.name != name)
            if len(kept) == len(stored):
                remedy = did_you_mean(name, [other.name for other in stored]) if stored else "it holds none"
                raise UserError(f"no token '{name}' in {self.path}; {remedy}")
            return kept

        self._change(without)

    def listed(self) -> list[Known]:
        """All tokens, in the order in which they were made."""
        return [token.known for token in self._stored()]

    def find(self, token: str) -> Known | None:
        """The token's name and role; None if it is none of these. `token` may be anything."""
        if len(token) > LONGEST:
            return None
        given = bytes.fromhex(_hash(token))
        found = None
        for stored in self._stored():  # all of them: the time taken does not say which one it was
            if hmac.compare_digest(bytes.fromhex(stored.sha256), given):
                found = stored.known
        return found

    def role_of(self, token: str) -> Role | None:
        """The token's role; None if it is none of these. `token` may be anything."""
        found = self.find(token)
        return found and found.role

    def _check(self, name: str) -> None:
        try:
            token_name(name)
        except ValueError as error:
            raise UserError(f"this is no name of a token: {error}") from None

    def _change(self, change: Callable[[tuple[_Stored, ...]], tuple[_Stored, ...]]) -> None:
        change(self._stored())  # what is wrong is said before a lock is made beside the file
        try:
            target = self.path.resolve()
            with one_at_a_time(target):
                content = _File(tokens=change(self._read())).model_dump_json(indent=2)
                write_whole(target, f"{content}\n".encode(), OWNER_ONLY)
        except OSError as error:
            raise UserError(
                f"{self.path}: cannot be written: {error.strerror or error}; name another file with --tokens"
            ) from None

    def _stored(self) -> tuple[_Stored, ...]:
        try:
            state = _state(self.path.stat())
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read: {error.strerror}") from None
        if self._seen is None or self._seen[0] != state:
            self._seen = state, self._read()  # if it has changed since, it is read again at the next call
        return self._seen[1]

    def _read(self) -> tuple[_Stored, ...]:
        try:
            return _File.model_validate_json(read_private(self.path)).tokens
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read: {error.strerror}") from None
        except ValidationError as error:
            raise UserError(
                f"{self.path}: is damaged: {_complaint(error)}; restore it, or delete it and add tokens again"
            ) from None


def _hash(token: str) -> str:
    # What an attacker sends may be no text that UTF-8 can write.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _state(file: os.stat_result) -> tuple[int, ...]:
    """What is different after every change of a file, of its rights too."""
    return file.st_dev, file.st_ino, file.st_size, file.st_mtime_ns, file.st_ctime_ns


def _complaint(error: ValidationError) -> Damaged:
    """What is wrong, and where, without the value: it may be a token."""
    details = error.errors()[0]
    place = ".".join(map(str, details["loc"]))
    return Damaged(": ".join(filter(None, (place, details["msg"].removeprefix("Value error, ")))))
