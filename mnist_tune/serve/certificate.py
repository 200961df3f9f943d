"""A head's own TLS certificate: made once, and known to workers by its fingerprint."""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mnist_tune.errors import UserError
from mnist_tune.files.atomic_write import read_file, write_whole
from mnist_tune.files.private_files import OWNER_ONLY, one_at_a_time, read_private

LIFE = timedelta(days=3652)
"""Ten years."""
BEFORE = timedelta(days=1)
"""A certificate is valid from so long ago: the clock of a worker's machine may be slow."""
HOST_NAME = re.compile("[A-Za-z0-9._-]+")
ANEW = "delete both files: the head then makes new ones, and workers need the line that it prints anew"


@dataclass(frozen=True)
class Certificate:
    """A certificate and its private key, as PEM files."""

    path: Path
    key: Path
    fingerprint: str
    """The SHA-256 of the certificate's DER, in hexadecimal digits."""


def own_certificate(tokens: Path, names: Iterable[str]) -> Certificate:
    """The certificate beside the tokens' file. The first call makes it for these host names and addresses.

    Later calls keep it as it is: workers know its fingerprint, and need no name in it.

    Raises:
        UserError: it or its key cannot be read or written, is none, does not fit the other, has run out, or
            the key is open to other users; or a name cannot be in a certificate.
    """
    stem = tokens.name.removesuffix(".tokens")
    path, key = (tokens.with_name(f"{stem}.{kind}.pem") for kind in ("certificate", "key"))
    try:
        if not path.exists():
            alternatives = [_alternative(name) for name in names]
            with one_at_a_time(path):
                if not path.exists():  # another head may have made it meanwhile
                    _make(path, key, alternatives)
        return _checked(path, key)
    except OSError as error:
        raise UserError(
            f"{error.filename or path}: cannot be read or written: {error.strerror or error}; "
            "name a tokens' file in another folder with --tokens"
        ) from None


def fingerprint_of(path: Path) -> str:
    """The fingerprint of a certificate that a person names; of a chain, of the first one.

    Raises:
        UserError: it cannot be read, or is none.
    """
    try:
        return _fingerprint(_parsed(path, "name a PEM file"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None


def check_pair(certificate: Path, key: Path) -> None:
    """Check that a server can use a certificate and a key that a person names.

    Raises:
        UserError: one of them cannot be read or is none, they do not fit, or the key has a password.
    """
    fingerprint_of(certificate)

    def no_password() -> str:
        raise UserError(f"{key}: has a password; write it without one, open to its owner alone")

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, no_password)
    except ssl.SSLError as error:
        raise UserError(
            f"{key}: is not the key of {certificate}, in PEM ({error.reason or 'unreadable'}); name the pair"
        ) from None
    except OSError as error:
        raise UserError(f"{key}: cannot be read: {error.strerror or error}") from None


def _make(path: Path, key: Path, names: list[x509.GeneralName]) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    public, now = private.public_key(), datetime.now(UTC)
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mnist-tune")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(named)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BEFORE)
        .not_valid_after(now - BEFORE + LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(private, hashes.SHA256())
    # The key first: a head that dies in between makes both anew, and nobody has seen a fingerprint yet.
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_whole(key, pem, OWNER_ONLY)
    write_whole(path, certificate.public_bytes(Encoding.PEM))


def _checked(path: Path, key: Path) -> Certificate:
    certificate = _parsed(path, f"restore it and {key.name}, or {ANEW}")
    try:
        private = load_pem_private_key(read_private(key), password=None)
    except FileNotFoundError:
        raise UserError(
            f"{key}: the key of {path.name} is missing; restore it, or delete {path.name}"
        ) from None
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it has a password
        raise UserError(
            f"{key}: is not a private key in PEM; restore it and {path.name}, or {ANEW}"
        ) from None
    if _spelt(private.public_key()) != _spelt(certificate.public_key()):
        raise UserError(f"{key}: is not the key of {path.name}; restore the pair, or {ANEW}")
    now, first, last = datetime.now(UTC), certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < first:
        raise UserError(f"{path}: is valid from {first:%Y-%m-%d} only; correct the clock of this machine")
    if now > last:
        raise UserError(f"{path}: ran out on {last:%Y-%m-%d}, like its key {key.name}; {ANEW}")
    return Certificate(path, key, _fingerprint(certificate))


def _parsed(path: Path, remedy: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(read_file(path.resolve()))
    except ValueError:
        raise UserError(f"{path}: is not a certificate in PEM; {remedy}") from None


def _fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()


def _spelt(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _alternative(name: str) -> x509.GeneralName:
    with suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(name.partition("%")[0]))  # a zone is of this machine only
    with suppress(ValueError):
        encoded = name.encode("idna").decode("ascii")
        if HOST_NAME.fullmatch(encoded):
            return x509.DNSName(encoded)
    raise UserError(f"{name!r:.100} is not the name or the address of a machine")
