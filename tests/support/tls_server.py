"""A TLS server, whose certificate a test may change, and a proxy to it."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

from mnist_tune.serve.certificate import Certificate


class _Answers(BaseHTTPRequestHandler):
    """Answers everything with one word."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class TlsServer(ThreadingHTTPServer):
    """Serves HTTPS, or HTTP without a certificate, on a free port of 127.0.0.1."""

    def __init__(self, certificate: Certificate | None) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self.show(certificate)

    def show(self, certificate: Certificate) -> None:
        """Have this certificate from the next connection on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.path, certificate.key)
        self._context = context

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self._context is None:
            super().finish_request(request, client_address)
            return
        # The client may not like the certificate.
        with suppress(OSError), closing(self._context.wrap_socket(request, server_side=True)) as encrypted:
            super().finish_request(encrypted, client_address)


class _Tunnels(StreamRequestHandler):
    """Passes bytes on, after CONNECT; whatever name is asked for, it is the one server's."""

    server: Proxy

    def handle(self) -> None:
        lines = list(iter(lambda: self.rfile.readline().decode("latin-1").strip(), ""))
        self.server.requests.append(lines)
        if self.server.answer:
            self.wfile.write(self.server.answer)
            return
        self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        with socket.create_connection(("127.0.0.1", self.server.target)) as there:
            back = threading.Thread(target=_pass_on, args=(there, self.connection), daemon=True)
            back.start()
            _pass_on(self.connection, there)
            back.join(10)


class Proxy(ThreadingTCPServer):
    """An HTTP proxy that knows CONNECT."""

    def __init__(self, target: int) -> None:
        super().__init__(("127.0.0.1", 0), _Tunnels)
        self.target = target
        self.answer = b""
        """What it answers instead of a tunnel."""
        self.requests: list[list[str]] = []


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while content := source.recv(1 << 16):
            sink.sendall(content)
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def running(server: ThreadingTCPServer | ThreadingHTTPServer) -> Iterator[int]:
    """Run a server in a thread; the block gets its port."""
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
