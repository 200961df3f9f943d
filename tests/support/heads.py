"""Heads that run in this process, for tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mnist_tune.files.locations import Folders
from mnist_tune.serve.address import HeadAddress
from mnist_tune.serve.server import Server, listen
from mnist_tune.storage.guarded import GuardedStorage
from tests.support.studies import folders


@contextmanager
def running_head(
    storage: GuardedStorage, folder: Path, places: Folders | None = None
) -> Iterator[HeadAddress]:
    """A head over this storage that keeps its files in `folder`."""
    lines: list[str] = []
    server = Server(storage, places or folders(folder), lines.append)
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, args=[listener])
        thread.start()
        try:
            yield HeadAddress(f"http://127.0.0.1:{listener.getsockname()[1]}")
        finally:
            server.stop()
            thread.join()
