"""Heads that run in this process, for tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mnist_tune.files.locations import Folders
from mnist_tune.serve.address import HeadAddress
from mnist_tune.serve.gate import Gate
from mnist_tune.serve.opening import Encryption, opened
from mnist_tune.serve.room import Room
from mnist_tune.serve.server import Server
from mnist_tune.storage.guarded import GuardedStorage
from tests.support.studies import folders


@contextmanager
def running_head(
    storage: GuardedStorage, folder: Path, places: Folders | None = None
) -> Iterator[HeadAddress]:
    """A head over this storage that keeps its files in `folder`."""
    lines: list[str] = []
    places = places or folders(folder)
    url = storage.engine.url
    opening = opened(url, "127.0.0.1", 0, folder / "head.tokens", Encryption(), may_show_tokens=False)
    gate = Gate(opening.tokens, lines.append, without_tokens=True)
    room = Room([each.path for each in places], free_disk=0)
    server = Server(storage, places, gate, room, lines.append)
    with opening.listener as listener:
        thread = threading.Thread(target=server.run, args=[listener])
        thread.start()
        try:
            yield opening.address
        finally:
            server.stop()
            thread.join()
