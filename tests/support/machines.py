"""Machines of their own on one network: network namespaces on a bridge. Only root can make them."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """A network namespace with an address."""

    name: str
    address: str

    def command(self, *words: str) -> list[str]:
        """A command as it is run on this machine."""
        return ["ip", "netns", "exec", self.name, *words]

    def cut_off(self) -> None:
        """Take the machine from the network: what is sent to it or by it is lost."""
        _ip("-n", self.name, "link", "set", "eth0", "down")

    def connect(self) -> None:
        """Put the machine back on the network."""
        _ip("-n", self.name, "link", "set", "eth0", "up")
        _ip("-n", self.name, "route", "replace", "default", "dev", "eth0")


@contextmanager
def machines(number: int) -> Iterator[list[Machine]]:
    """So many machines that reach one another, and nothing else."""
    mark = secrets.token_hex(3)
    bridge = f"br{mark}"
    with ExitStack() as stack:
        _ip("link", "add", bridge, "type", "bridge")
        stack.callback(_ip, "link", "delete", bridge)
        _ip("link", "set", bridge, "up")
        made = [Machine(f"m{index}-{mark}", f"10.77.0.{index + 1}") for index in range(number)]
        for index, machine in enumerate(made):
            _ip("netns", "add", machine.name)
            stack.callback(_ip, "netns", "delete", machine.name)
            outer = f"v{index}{mark}"
            inner = ("peer", "name", "eth0", "netns", machine.name)
            _ip("link", "add", outer, "type", "veth", *inner)
            _ip("link", "set", outer, "master", bridge, "up")
            _ip("-n", machine.name, "address", "add", f"{machine.address}/24", "dev", "eth0")
            _ip("-n", machine.name, "link", "set", "lo", "up")
            machine.connect()
        yield made


def may_make_machines() -> bool:
    """Whether this user may make network namespaces."""
    return os.geteuid() == 0


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
