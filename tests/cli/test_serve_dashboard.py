"""`serve --dashboard` says where the dashboard is, and when it cannot be there."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from mnist_tune.errors import MISTAKE
from tests.support.commands import Command
from tests.support.served import served
from tests.support.studies import new_study


@pytest.mark.slow
def test_it_is_at_the_next_port_unless_another_is_named(tmp_path: Path) -> None:
    new_study(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with served(tmp_path, "--dashboard", port=port) as head:
        assert head.until(r"^dashboard on http://127\.0\.0\.1:(\d+)$")[1] == str(port + 1)
        assert head.end().stderr == ""


def test_a_port_where_it_cannot_be_is_a_mistake_of_one_line(tmp_path: Path, command: Command) -> None:
    new_study(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        answer = command("serve", "--port", "0", "--dashboard-port", str(taken.getsockname()[1]))
        assert answer.code == MISTAKE
        assert re.fullmatch(
            r"mnist-tune: --dashboard-port: cannot listen on \S+: address already in use; .+\n", answer.err
        )
    answer = command("serve", "--port", "65535", "--dashboard")
    assert (answer.code, answer.err) == (
        MISTAKE,
        "mnist-tune: --dashboard-port: there is no port 65536; name another with --dashboard-port\n",
    )
