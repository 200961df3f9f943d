"""A small threaded HTTP server for the dashboard, and the browser that is opened for it."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import threading
import warnings
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from io import BytesIO
from ipaddress import ip_address
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from mnist_tune.dashboard.connections import Connections
from mnist_tune.errors import UserError
from mnist_tune.worker.signals import ignored_signals, take_over

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

SILENCE_SECONDS = 60.0
MOST_TAKEN_IN = 1_000_000
"""The most bytes of a request's body; the dashboard uses no longer ones."""
BUSY = b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
NICENESS = 10
"""Added to the process's niceness: where cores are short, training comes first."""


class Address(NamedTuple):
    """Where a server listens: an address of this machine, and the name by which it was given."""

    host: str
    address: str
    family: socket.AddressFamily

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return ip_address(self.address.partition("%")[0]).is_loopback

    def url(self, port: int) -> str:
        """The URL to open in a browser."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{port}/"


def find_address(host: str, *, allow_remote: bool) -> Address:
    """The address of this machine that `host` stands for.

    Raises:
        UserError: there is none, or other machines can reach it although that is not allowed.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host or "?", None, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise UserError(
            f"--host: '{host}' is no address or name of this machine; write 127.0.0.1, or 0.0.0.0 for all"
        ) from None
    found = Address(host, str(address[0]), family)
    if not (found.is_loopback or allow_remote):
        raise UserError(
            f"--host: other machines can reach {host}, and the dashboard has no login; "
            "add --allow-remote if they may, or use a tunnel: ssh -L 8080:127.0.0.1:8080 HOST"
        )
    return found


def cannot_listen(url: str, port: int, error: OSError, option: str = "--port") -> UserError:
    """The complaint about a port on which nobody can listen here, which the option names."""
    if isinstance(error, PermissionError):
        return UserError(f"{option}: {port} needs more rights; write one above 1023, or 0 for any")
    reason = (error.strerror or str(error)).lower()
    return UserError(f"{option}: cannot listen on {url}: {reason}; write another, or 0 for any that is free")


class Handler(WSGIRequestHandler):
    """Answers one request, without a log line."""

    timeout = SILENCE_SECONDS  # a client that reads nothing must not keep a thread for ever
    default_request_version = "HTTP/1.0"  # what is not even a request is answered with a status too
    server: Server

    def parse_request(self) -> bool:
        """Read the whole request with its body; a late one is not answered."""
        if not super().parse_request():
            return False
        length, *others = self.headers.get_all("Content-Length", ["0"])
        if "Transfer-Encoding" in self.headers:
            self.send_error(HTTPStatus.LENGTH_REQUIRED)
        elif others or not re.fullmatch("[0-9]{1,20}", length):
            self.send_error(HTTPStatus.BAD_REQUEST)
        else:
            body = self.rfile.read(min(int(length), MOST_TAKEN_IN))
            if not self.server.connections.has_asked(self.connection):
                return False
            if len(body) == int(length):
                self.rfile = BytesIO(body)
                return True
            if len(body) == MOST_TAKEN_IN:
                self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return False

    def address_string(self) -> str:
        return str(self.client_address[0])  # without a question to a name server

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


class Server(ThreadingMixIn, WSGIServer):
    """Answers each request in a thread of its own."""

    daemon_threads = True  # the end does not wait for a browser
    request_queue_size = 64

    def __init__(self, address: Address, port: int) -> None:
        self.connections = Connections()
        self.address_family = address.family
        try:
            super().__init__((address.address, port), Handler)
        except OSError as error:
            raise cannot_listen(address.url(port), port, error) from None

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's asks a name server for our name, which may take long
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        if self.connections.add(request):
            super().process_request(request, client_address)
            return
        with suppress(OSError):
            request.setblocking(False)
            request.send(BUSY)
        self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        self.connections.remove(request)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Close clients that are too slow; called several times a second."""
        self.connections.end_silent()

    def handle_error(self, *request: Any) -> None:
        """Ignore a browser that is gone or silent; the application reports its own errors."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(*request)


def serve(server: Server, app: WSGIApplication, on_start: Callable[[], None]) -> None:
    """Answer requests until Ctrl-C or SIGTERM. Call from the main thread."""
    server.set_app(app)
    try:
        take_over(signal.default_int_handler, ignored_signals())
        os.nice(NICENESS)
        warnings.simplefilter("ignore")  # Optuna's hints to programmers are of no use here
        on_start()
        server.serve_forever(poll_interval=0.1)
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()


def open_browser(url: str) -> threading.Thread | None:
    """Open the page if the user has a graphical desktop; returns the thread that does so, else None."""
    if not (sys.stdout.isatty() and _has_windows()):
        return None
    # In a thread, since some browser commands return only when the browser is closed.
    thread = threading.Thread(target=_open, args=(url,), name="browser", daemon=True)
    thread.start()
    return thread


def _has_windows() -> bool:
    on_a_desktop = sys.platform in ("darwin", "win32")
    return on_a_desktop or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open(url: str) -> None:
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return
    # Other commands would run in the terminal, as lynx and w3m do.
    if type(browser) is not webbrowser.GenericBrowser and not isinstance(browser, webbrowser.Elinks):
        browser.open(url)
