"""A worker trusts the one certificate whose fingerprint it was given, and no other, of real TLS servers."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from mnist_tune.errors import UserError
from mnist_tune.serve import certificate
from mnist_tune.serve.certificate import Certificate, fingerprint_of, own_certificate
from mnist_tune.serve.pinned import pinned_context
from tests.support.tls_server import Proxy, TlsServer, running

HOST = "127.0.0.1"
SECONDS = 60.0


@pytest.fixture(autouse=True)
def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "all_proxy", "http_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def own(tmp_path: Path) -> Certificate:
    """A head's certificate; the name by which the tests reach it is not in it."""
    return own_certificate(tmp_path / "s.db.tokens", ["head"])


@pytest.fixture
def other(tmp_path: Path) -> Certificate:
    return own_certificate(tmp_path / "other.tokens", ["head", HOST])


@pytest.fixture
def server(own: Certificate) -> Iterator[TlsServer]:
    server = TlsServer(own)
    with running(server):
        yield server


def get(context: ssl.SSLContext, port: int, host: str = HOST) -> str:
    with httpx.Client(verify=context, timeout=SECONDS) as client:
        return client.get(f"https://{host}:{port}/").text


@pytest.mark.parametrize("spelling", [str, str.upper, lambda hexadecimal: ":".join(pairs(hexadecimal))])
def test_the_right_certificate_is_trusted_by_httpx(
    server: TlsServer, own: Certificate, spelling: object
) -> None:
    assert callable(spelling)
    context = pinned_context(HOST, server.server_port, spelling(own.fingerprint), SECONDS)
    assert get(context, server.server_port) == get(context, server.server_port, "localhost") == "hello"


def pairs(digits: str) -> list[str]:
    return [digits[at : at + 2] for at in range(0, len(digits), 2)]


def test_another_fingerprint_is_refused_with_one_line(
    server: TlsServer, own: Certificate, other: Certificate
) -> None:
    with pytest.raises(UserError) as caught:
        pinned_context(HOST, server.server_port, other.fingerprint, SECONDS)
    assert str(caught.value) == (
        f"https://127.0.0.1:{server.server_port}: its certificate has the fingerprint {own.fingerprint}, "
        "not the one given; use the line that 'mnist-tune serve' prints now; "
        "if that has another one too, somebody answers in the head's place"
    )


@pytest.mark.parametrize("given", ["", "ab", "g" * 64, "a" * 65, "é" * 64, "\ud800"])
def test_what_is_no_fingerprint_is_refused_before_anybody_is_asked(given: str) -> None:
    with pytest.raises(UserError, match="is not 64 hexadecimal digits; copy it whole"):
        pinned_context("nobody.invalid", 1, given, SECONDS)


def test_a_certificate_that_is_put_in_place_later_ends_the_handshake(
    server: TlsServer, own: Certificate, other: Certificate
) -> None:
    context = pinned_context(HOST, server.server_port, own.fingerprint, SECONDS)
    server.show(other)
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        get(context, server.server_port)
    server.show(own)
    assert get(context, server.server_port) == "hello"


def test_a_certificate_with_the_names_of_the_pinned_one_is_another(tmp_path: Path, own: Certificate) -> None:
    twin = own_certificate(tmp_path / "twin.tokens", ["head"])
    with running(server := TlsServer(own)) as port:
        context = pinned_context(HOST, port, own.fingerprint, SECONDS)
        server.show(twin)
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            get(context, port)


def test_nothing_that_the_machine_trusts_is_trusted(server: TlsServer, own: Certificate) -> None:
    context = pinned_context(HOST, server.server_port, own.fingerprint, SECONDS)
    assert context.cert_store_stats()["x509"] == 1
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_a_certificate_that_has_run_out_is_not_trusted_even_if_it_is_pinned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificate, "LIFE", timedelta(hours=1))
    with pytest.raises(UserError, match="ran out"):
        own_certificate(tmp_path / "old.tokens", ["head"])
    path = tmp_path / "old.certificate.pem"
    old = Certificate(path, tmp_path / "old.key.pem", fingerprint_of(path))
    with running(TlsServer(old)) as port:
        context = pinned_context(HOST, port, old.fingerprint, SECONDS)
        with pytest.raises(httpx.ConnectError, match="certificate has expired"):
            get(context, port)


def signed_by_an_authority(folder: Path) -> Certificate:
    """A certificate that an authority has signed which nobody here trusts."""
    authority, private = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "head")]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")]))
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(authority, hashes.SHA256())
    )
    path, key = folder / "signed.pem", folder / "signed.key.pem"
    path.write_bytes(made.public_bytes(Encoding.PEM))
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return Certificate(path, key, fingerprint_of(path))


def test_a_certificate_of_an_authority_can_be_pinned_too(tmp_path: Path) -> None:
    signed = signed_by_an_authority(tmp_path)
    with running(TlsServer(signed)) as port:
        assert get(pinned_context(HOST, port, signed.fingerprint, SECONDS), port) == "hello"


def test_a_head_that_is_away_or_silent_is_an_error_that_may_pass(own: Certificate) -> None:
    with socket.create_server((HOST, 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(TimeoutError):
            pinned_context(HOST, port, own.fingerprint, 0.1)
    with pytest.raises(ConnectionRefusedError):
        pinned_context(HOST, port, own.fingerprint, SECONDS)


def test_a_head_that_ends_during_the_handshake_is_an_error_that_may_pass(own: Certificate) -> None:
    with socket.create_server((HOST, 0)) as ending:

        def end() -> None:
            connection, _ = ending.accept()
            with connection:
                connection.recv(1 << 16)

        thread = threading.Thread(target=end)
        thread.start()
        with pytest.raises(ssl.SSLEOFError):
            pinned_context(HOST, ending.getsockname()[1], own.fingerprint, SECONDS)
        thread.join()


def test_a_head_without_tls_is_named_with_the_way_out(own: Certificate) -> None:
    with running(TlsServer(None)) as port, pytest.raises(UserError, match="write http:// for a head without"):
        pinned_context(HOST, port, own.fingerprint, SECONDS)


def test_a_proxy_of_the_environment_is_used_and_learns_nothing(
    server: TlsServer, own: Certificate, other: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy(server.server_port)
    with running(proxy) as port:
        monkeypatch.setenv("https_proxy", f"http://me:p%40ss@{HOST}:{port}")
        context = pinned_context("head.invalid", 443, own.fingerprint, SECONDS)
        assert get(context, 443, "head.invalid") == "hello"
        asked = [request[0].split()[:2] for request in proxy.requests]
        assert asked == [["CONNECT", "head.invalid:443"]] * 2
        assert all("Proxy-Authorization: Basic bWU6cEBzcw==" in request for request in proxy.requests)
        with pytest.raises(UserError, match="not the one given"):
            pinned_context("head.invalid", 443, other.fingerprint, SECONDS)
        for proxy.answer in (b"HTTP/1.1 407 Login\r\n\r\n", b"nonsense\r\n\r\n", b"\0"):
            with pytest.raises(OSError, match=r"407|cannot be read"):
                pinned_context("head.invalid", 443, own.fingerprint, SECONDS)
        proxy.requests.clear()
        monkeypatch.setenv("no_proxy", HOST)
        pinned_context(HOST, server.server_port, own.fingerprint, SECONDS)
        assert proxy.requests == []


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1080", "https://127.0.0.1:1", "http://h:x", "http://"])
def test_a_proxy_of_another_kind_is_named_with_the_way_out(
    proxy: str, own: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(UserError, match=r"https_proxy: is not http://HOST:PORT, .*; put head into no_proxy"):
        pinned_context("head", 443, own.fingerprint, SECONDS)


def test_it_loads_nothing_that_a_worker_does_not_need() -> None:
    script = (
        "import sys, mnist_tune.serve.pinned\n"
        "heavy = {'cryptography', 'optuna', 'sqlalchemy', 'starlette', 'pydantic', 'rich'}\n"
        "print(heavy & sys.modules.keys())"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], env=os.environ, capture_output=True, text=True, check=True
    )
    assert answer.stdout == "set()\n"
