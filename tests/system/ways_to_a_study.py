"""How the workers of a campaign reach their study, and how they are kept from it."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url

from tests.support.head_processes import HeadProcess
from tests.support.storage_faults import closed
from tests.support.tcp_proxy import TcpProxy, tcp_proxy

ON_THEIR_WAY = "on their way"
"""The folder of workers' states before they are with the head."""
A_REQUEST = b" /api/v1/"
"""What the first line of each request to a head has."""


@dataclass(frozen=True)
class Way:
    """What the workers are told as their storage, and what can happen on the way to it."""

    url: str
    options: list[str]
    """Options of `worker` for the folders of files."""
    cut: Callable[[], ExitStack]
    """Keeps all workers from the storage until what it returns is closed."""
    head: HeadProcess | None = None
    link: TcpProxy | None = None
    """The link to the head."""

    def lose_an_answer(self) -> None:
        """Have the answer to the next request be lost."""
        assert self.link is not None
        self.link.lose_answer(A_REQUEST)


def direct(url: str, folder: Path) -> Way:
    """Workers that open the database themselves, and share the folders of files."""
    files = ["--checkpoints", str(folder / "checkpoints"), "--artifacts", str(folder / "artifacts")]
    return Way(url, files, lambda: _cut_off(url))


@contextmanager
def through_a_head(url: str, folder: Path, seed: int) -> Iterator[Way]:
    """Workers that know a head alone, over a link, and have a folder of their own for states on their way."""
    chance = random.Random(seed)
    with HeadProcess(url, folder) as head, tcp_proxy(head.address) as link:
        yield Way(
            link.url,
            ["--checkpoints", str(folder / ON_THEIR_WAY)],
            lambda: _cut(link, chance),
            head,
            link,
        )


def _cut(link: TcpProxy, chance: random.Random) -> ExitStack:
    """Cut a link with a reset or silently, and afterwards let what was held go on, or be held for ever."""
    stack = ExitStack()
    link.cut(reset=chance.random() < 0.4)
    stack.callback(link.heal, forget=chance.random() < 0.5)
    return stack


def _cut_off(url: str) -> ExitStack:
    """Keep all workers from the database until the stack is closed."""
    stack = ExitStack()
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        other = stack.enter_context(
            closing(sqlite3.connect(str(parsed.database), timeout=120, isolation_level=None))
        )
        other.execute("BEGIN IMMEDIATE")
    else:
        stack.enter_context(closed(parsed))
    return stack
