"""Trusts one certificate, known by its fingerprint, and no other: for a head with a certificate of its own.

A worker loads this before its first request, so it needs the standard library only.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import ssl
from http.client import HTTPException, HTTPSConnection
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from mnist_tune.errors import UserError

FINGERPRINT = re.compile("[0-9a-f]{64}")
PASSING = (ssl.SSLEOFError, ssl.SSLZeroReturnError, TimeoutError)
"""Failures of a handshake with a server that is just starting, ending, or far away."""


def pinned_context(host: str, port: int, fingerprint: str, timeout: float) -> ssl.SSLContext:
    """A context in which the server's certificate is the only trusted one, if it has this fingerprint.

    The server's name is not checked: the certificate itself is. A proxy of the environment is used, as httpx
    does. `timeout` is in seconds, for each step of the connection.

    Raises:
        UserError: the server has another certificate, or does not speak TLS; or this is no fingerprint.
        OSError: the server cannot be reached now.
    """
    wanted = fingerprint.replace(":", "").lower()
    if not FINGERPRINT.fullmatch(wanted):
        raise UserError(
            "the fingerprint of the head's certificate is not 64 hexadecimal digits; copy it whole"
        )
    certificate = _certificate_of(host, port, timeout)
    shown = hashlib.sha256(certificate).hexdigest()
    if not hmac.compare_digest(shown.encode(), wanted.encode()):
        raise UserError(
            f"{_url(host, port)}: its certificate has the fingerprint {shown}, not the one given; "
            "use the line that 'mnist-tune serve' prints now; if that has another one too, "
            "somebody answers in the head's place"
        )
    context = _context()
    # It is trusted by itself, also where an authority that is not trusted here has signed it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=certificate)
    return context


def _context() -> ssl.SSLContext:
    """A context that asks for no name, and trusts no certificate yet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    return context


def _certificate_of(host: str, port: int, timeout: float) -> bytes:
    """The certificate that a server shows, in DER. Nothing else is sent or believed."""
    unchecked = _context()
    unchecked.verify_mode = ssl.CERT_NONE
    connection = _connection(host, port, timeout, unchecked)
    try:
        connection.connect()
        certificate = connection.sock.getpeercert(binary_form=True)
    except PASSING:
        raise
    except ssl.SSLError as error:
        raise UserError(
            f"{_url(host, port)}: does not speak TLS as this machine does ({error.reason}); "
            "write http:// for a head without a certificate"
        ) from None
    except HTTPException as error:
        raise ConnectionError(f"the proxy's answer cannot be read: {type(error).__name__}") from None
    finally:
        connection.close()
    if not certificate:
        raise ConnectionError("the server shows no certificate")
    return certificate


def _connection(host: str, port: int, timeout: float, context: ssl.SSLContext) -> HTTPSConnection:
    """A connection that is not open yet, by the proxy that the environment names for the host, if any."""
    proxies = getproxies()
    proxy = proxies.get("https") or proxies.get("all")
    if not proxy or proxy_bypass(f"{host}:{port}"):
        return HTTPSConnection(host, port, timeout=timeout, context=context)
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    try:
        its_port = parts.port or 80
    except ValueError:
        its_port = 0
    if parts.scheme != "http" or not parts.hostname or not its_port:
        raise UserError(
            "https_proxy: is not http://HOST:PORT, and by other proxies the certificate of a head cannot "
            f"be checked; put {host} into no_proxy to reach it directly"
        )
    headers = {}
    if parts.username:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    connection = HTTPSConnection(parts.hostname, its_port, timeout=timeout, context=context)
    connection.set_tunnel(host, port, headers)
    return connection


def _url(host: str, port: int) -> str:
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
