"""`serve` where it cannot listen, or with files that are none: one line, and nothing is left."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.support.commands import Command


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--port", "{port}"), "--port: cannot listen on "),
        (("--host", "no.such.name.invalid"), "--host: 'no.such.name.invalid' is no address or name"),
        (("--port", "0", "--tls-cert", "none.pem", "--tls-key", "none.key"), "none.pem: "),
        (("--port", "0", "--tls-cert", "none.pem"), "serve: --tls-cert and --tls-key belong together"),
        (("--port", "0", "--no-tls", "--tls-cert", "a", "--tls-key", "b"), "serve: --no-tls leaves "),
    ],
)
def test_a_start_that_fails_leaves_nothing(
    tmp_path: Path, command: Command, options: tuple[str, ...], told: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        answer = command("serve", *(option.format(port=port) for option in options))
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"mnist-tune: {told}")
    assert list(tmp_path.iterdir()) == []
