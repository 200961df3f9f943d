"""Opens a head to its network: where it listens, who is let in, and the line that joins a machine."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.engine import URL

from mnist_tune.dashboard.server import Address, cannot_listen, find_address
from mnist_tune.errors import UserError
from mnist_tune.files.locations import tokens_file
from mnist_tune.serve.address import HeadAddress
from mnist_tune.serve.certificate import check_pair, own_certificate
from mnist_tune.serve.client import TOKEN_VARIABLE
from mnist_tune.serve.roles import Role
from mnist_tune.serve.tokens import Tokens
from mnist_tune.storage.engine import shown
from mnist_tune.storage.named import ENVIRONMENT_VARIABLE
from mnist_tune.text.visible import visible

SOMEWHERE = "192.0.2.1"
"""An address that no machine has (RFC 5737): the way to it begins as the way to any other."""
LAST_PORT = 65535
FIRST_TOKENS = {Role.WORKER: "first-worker", Role.ADMIN: "first-admin"}
"""The names of the tokens that the first start makes."""


@dataclass(frozen=True)
class Encryption:
    """How connections are encrypted: by the head's own certificate, by a person's, or not at all."""

    is_wanted: bool = True
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True)
class Opening:
    """A head that is about to answer."""

    storage: URL
    listener: socket.socket
    address: HeadAddress
    """By which other machines reach it."""
    is_local: bool
    """Whether only this machine can reach it."""
    certificate: tuple[Path, Path] | None
    tokens: Tokens
    made: dict[Role, str] = field(default_factory=dict)
    """The tokens that were made at this start; they are shown now, and never again."""

    def lines(self, studies: Sequence[str]) -> Iterator[str]:
        """What a person must know now: where it listens, and how a machine is joined. It may hold tokens."""
        yield f"head of {shown(self.storage)} on {self.address.url} (Ctrl-C ends it)"
        study = shlex.quote(studies[-1]) if studies else "STUDY"
        has_tokens = bool(self.tokens.listed())
        words = [f"{ENVIRONMENT_VARIABLE}={shlex.quote(str(self.address))}"]
        if has_tokens or not self.is_local:
            words.append(f"{TOKEN_VARIABLE}={self.made.get(Role.WORKER, 'TOKEN')}")
        where = "in another terminal of this machine" if self.is_local else "on each machine"
        newest = f" on its newest study, '{visible(studies[-1])}'," if len(studies) > 1 else ""
        yield f"join its work{newest} {where} with:"
        yield f"  {' '.join(words)} mnist-tune worker {study}"
        if Role.ADMIN in self.made:
            yield f"for yourself, with all rights: {TOKEN_VARIABLE}={self.made[Role.ADMIN]}"
            yield f"these tokens are not shown again; {self.tokens.path} has their hashes"
        elif not self.is_local or has_tokens:
            tokens = shlex.quote(str(self.tokens.path.absolute()))
            yield "TOKEN is one that you have; make one with:"
            yield f"  mnist-tune token add NAME --role worker --tokens {tokens}"


@dataclass(frozen=True)
class Door:
    """Where a head will answer. It has left nothing on the disk yet."""

    at: Address
    listener: socket.socket
    encryption: Encryption
    tokens: Tokens


def door(storage: URL, host: str, port: int, tokens: Path | None, encryption: Encryption) -> Door:
    """Listen at this address, and check the files that a person has named.

    Raises:
        UserError: nobody can listen there, or a file is not what it should be.
    """
    at = find_address(host, allow_remote=True)
    if not encryption.is_wanted and (encryption.certificate or encryption.key):
        raise UserError("serve: --no-tls leaves the certificate unused; leave out one of the two")
    if encryption.is_wanted and (encryption.certificate is None) != (encryption.key is None):
        raise UserError("serve: --tls-cert and --tls-key belong together; name both")
    if encryption.is_wanted and encryption.certificate is not None and encryption.key is not None:
        check_pair(encryption.certificate, encryption.key)
    known = Tokens(tokens_file(storage, tokens))
    known.listed()  # what is damaged is told now
    return Door(at, _listener(at, port), encryption, known)


def opened(storage: URL, door: Door, *, may_show_tokens: bool) -> Opening:
    """Let other machines in by tokens only; a first start makes some, and a certificate.

    `may_show_tokens`: whether a person reads what is printed, and nothing keeps it.

    Raises:
        UserError: a file is not what it should be, or cannot be written.
    """
    at, known, encryption = door.at, door.tokens, door.encryption
    named = _names(at)
    certificate, fingerprint = None, None
    if encryption.is_wanted and encryption.certificate is not None and encryption.key is not None:
        certificate = encryption.certificate, encryption.key
    elif encryption.is_wanted and not at.is_loopback:
        own = own_certificate(known.path, named)
        certificate, fingerprint = (own.path, own.key), own.fingerprint
    made = {}
    if not at.is_loopback and may_show_tokens and not known.listed():  # now they will be shown
        made = {role: known.add(name, role) for role, name in FIRST_TOKENS.items()}
    scheme = "http" if certificate is None else "https"
    shown_host = f"[{named[0]}]" if ":" in named[0] else named[0]
    url = f"{scheme}://{shown_host}:{door.listener.getsockname()[1]}"
    address = HeadAddress(url, fingerprint)
    return Opening(storage, door.listener, address, at.is_loopback, certificate, known, made)


def _names(at: Address) -> list[str]:
    """The names by which other machines may call this one; the first is the one to be told."""
    names = [] if at.address in ("0.0.0.0", "::") else [at.host]
    if not at.is_loopback:
        with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((SOMEWHERE, 9))  # sends nothing
            names.append(probe.getsockname()[0])
        names.append(socket.gethostname())
    return list(dict.fromkeys(names))


def second_listener(host: str, port: int | None, first: int) -> socket.socket:
    """Listen at another port of the same address, by default at the one after `first`; 0 is any.

    Raises:
        UserError: nobody can listen there.
    """
    if port is None:
        port = first and first + 1
    if port > LAST_PORT:
        raise UserError(f"--dashboard-port: there is no port {port}; name another with --dashboard-port")
    return _listener(find_address(host, allow_remote=True), port, "--dashboard-port")


def _listener(at: Address, port: int, option: str = "--port") -> socket.socket:
    # With its protocol named: only then asyncio turns Nagle's algorithm off, which delays answers by 40 ms.
    listener = socket.socket(at.family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((at.address, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise cannot_listen(at.url(port), port, error, option) from None
    return listener
