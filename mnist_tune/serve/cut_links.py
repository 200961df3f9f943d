"""Notices a link that is cut without a word: a head may think for minutes, but its system answers probes."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

SILENT_AFTER = 5
"""After so many seconds without a byte the other system is asked whether it is there."""
PROBE_SECONDS = 3
PROBES = 3
"""How often it is asked, this far apart, before the connection counts as cut."""
CUT_AFTER = 15
"""In seconds: the same for a connection on which what is sent is not taken."""


def notice_cuts(event: str, told: Mapping[str, Any], *, is_to_take_at_once: bool) -> None:
    """Have a new connection end when its link is cut; httpx takes this as an extension, `trace`.

    `is_to_take_at_once`: also when what is sent is not taken. A head that is busy leaves a state for a while.
    """
    if event == "connection.connect_tcp.complete":
        _set_options(told["return_value"].get_extra_info("socket"), is_to_take_at_once)


def _set_options(connection: socket.socket, is_to_take_at_once: bool) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # macOS calls the first one by another name, and has not the last one.
    for name, value in (
        ("TCP_KEEPIDLE", SILENT_AFTER),
        ("TCP_KEEPALIVE", SILENT_AFTER),
        ("TCP_KEEPINTVL", PROBE_SECONDS),
        ("TCP_KEEPCNT", PROBES),
        ("TCP_USER_TIMEOUT", CUT_AFTER * 1000 if is_to_take_at_once else 0),
    ):
        if value and hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
