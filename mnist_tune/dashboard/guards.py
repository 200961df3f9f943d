"""Checks who may ask the dashboard for what; optuna-dashboard itself has no such checks.

It has no login: whoever reaches it may use it. A page from elsewhere, in the browser of a person who may,
must not use it. Such a page is recognised by the name by which it reached us (DNS rebinding: `Host`), or by
its declared origin (`Origin`, `Sec-Fetch-Site`).
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Headers: TypeAlias = list[tuple[str, str]]
ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None] | None

READING = ("GET", "HEAD")
OWN = ("same-origin", "none")
"""The values of `Sec-Fetch-Site` for our own page, and for an address that a person typed."""
LINK = "navigate"
"""The value of `Sec-Fetch-Mode` when a person goes to a page."""
CONTROL = re.compile("[\0-\x1f\x7f]")
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Refusal:
    """Why a request is not answered, in one line."""

    status: HTTPStatus
    reason: str


class Guard:
    """A WSGI application that checks each request and passes it on to another."""

    def __init__(self, app: WSGIApplication, is_our_name: Callable[[str], bool], *, read_only: bool) -> None:
        self._app = app
        self._is_our_name = is_our_name
        self._read_only = read_only

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        refusal = self.refusal(environ)
        if refusal is None:
            environ.setdefault("HTTP_ACCEPT_ENCODING", "")  # optuna-dashboard requires it
            is_file = environ.get("PATH_INFO", "").startswith("/artifacts/")
            return self._app(environ, _hardened(start_response, is_file))
        body = f"mnist-tune: {refusal.reason}\n".encode()
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
        if refusal.status is HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append(("Allow", ", ".join(READING)))
        start_response(f"{refusal.status.value} {refusal.status.phrase}", headers)
        return [body]

    def refusal(self, environ: WSGIEnvironment) -> Refusal | None:
        """Why this request is refused; None if it is not."""
        host = environ.get("HTTP_HOST", "")
        reads = environ["REQUEST_METHOD"] in READING
        if not self._is_our_name(_name(host)):
            return Refusal(
                HTTPStatus.FORBIDDEN,
                "this dashboard does not go by the name in the request's Host header; "
                "open it by the address that it was started on, or start it with that name as --host",
            )
        if CONTROL.search(environ.get("PATH_INFO", "")):
            return Refusal(HTTPStatus.BAD_REQUEST, "the address holds control characters")
        origin = environ.get("HTTP_ORIGIN")
        foreign = origin is not None and _place(origin) != host.lower()
        # A page elsewhere may only link here: it cannot read answers, but they could still be costly for us.
        links = reads and environ.get("HTTP_SEC_FETCH_MODE", LINK) == LINK
        if foreign or not (links or environ.get("HTTP_SEC_FETCH_SITE", "none") in OWN):
            return Refusal(HTTPStatus.FORBIDDEN, "the request comes from another site's page")
        if self._read_only and not reads:
            return Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "this dashboard is read-only")
        return None


def local_names(host: str) -> Callable[[str], bool]:
    """Accepts the names of a dashboard on a loopback address; the port may be that of a tunnel to it."""
    names = {*LOCAL_NAMES, host.lower()}
    return lambda name: name in names


def remote_names(host: str) -> Callable[[str], bool]:
    """Accepts the names of a dashboard for other machines: any address, `host`, and the machine's own names.

    A site whose own name points to us has none of these names.
    """
    names = {*LOCAL_NAMES, host.lower(), socket.gethostname().lower(), socket.getfqdn().lower()}
    return lambda name: name in names or is_address(name)


def is_address(name: str) -> bool:
    """Whether a host is written as an IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _place(origin: str) -> str:
    """The host and port in an Origin header."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _name(host: str) -> str:
    """The name or address in a Host header, without the port."""
    found = re.fullmatch(r"(?:\[([0-9a-f:.]+)\]|([\w.-]+))(?::[0-9]+)?", host.lower(), re.ASCII)
    return found[1] or found[2] if found else ""


def _hardened(start_response: StartResponse, is_file: bool) -> StartResponse:
    """Add headers so that browsers trust an answer no more than needed."""
    more = [("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "SAMEORIGIN")]
    if is_file:  # a trial's file must not run as a page of the dashboard, whatever it holds
        more.append(("Content-Security-Policy", "sandbox"))

    def start(status: str, headers: Headers, exc_info: ExcInfo = None) -> Callable[[bytes], object]:
        kept = [header for header in headers if header[0].lower() != "access-control-allow-origin"]
        return start_response(status, kept + more, exc_info)

    return start
