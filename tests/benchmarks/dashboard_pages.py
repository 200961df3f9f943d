"""Pages that are open on a dashboard, and the answers that they get."""

from __future__ import annotations

import json
import multiprocessing
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread
from typing import Any

from tests.support.running_dashboard import running_dashboard
from tests.support.waiting import wait_until

NOBODY, OURS, STOCK = "nobody looks", "ours", "stock"
ASK_EVERY = 1.0


@dataclass(frozen=True)
class Asked:
    """What pages got: how many answers, how many of them failures, and the seconds of the slowest."""

    answers: int = 0
    failures: int = 0
    slowest: float = 0.0


@contextmanager
def looked_at(side: str, folder: Path, pages: int) -> Iterator[list[Asked]]:
    """Open pages on a dashboard over the storage in `folder`; the list has their answers after the block."""
    seen: list[Asked] = []
    if side == NOBODY:
        yield seen
        return
    with running_dashboard(folder) if side == OURS else stock_dashboard(folder) as address:
        # A process, not threads: a process that is forked next must have none.
        ours, theirs = multiprocessing.Pipe()
        client = multiprocessing.get_context("fork").Process(target=look, args=(address, pages, theirs))
        client.start()
        ours.recv()  # every page has been answered once
        try:
            yield seen
        finally:
            ours.send("enough")
            seen.append(ours.recv())
            client.join()


@contextmanager
def stock_dashboard(folder: Path) -> Iterator[str]:
    """The address of an unchanged `optuna-dashboard`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = Path(sys.executable).parent / "optuna-dashboard"
    command = [str(program), f"sqlite:///{folder}/studies.db", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}/"

    def answers() -> bool:
        try:
            urllib.request.urlopen(address, timeout=60).close()
        except OSError:
            return False
        return True

    try:
        wait_until(answers)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


def look(address: str, pages: int, told: Connection[Any, Any]) -> None:
    """Ask as so many pages do until told to stop; then send what was seen."""
    seen: list[tuple[bool, float]] = []
    enough: list[bool] = []

    def page() -> None:
        first_unfinished = 0
        while not enough:
            begun = time.monotonic()
            detail = ask(address, f"api/studies/1?after={first_unfinished}", seen)
            if detail is not None:
                new = [trial["state"] in ("Running", "Waiting") for trial in detail["trials"]]
                first_unfinished += new.index(True) if True in new else len(new)
            ask(address, "api/studies/1/param_importances", seen)
            time.sleep(max(0.0, ASK_EVERY - (time.monotonic() - begun)))

    threads = [Thread(target=page) for _ in range(pages)]
    for thread in threads:
        thread.start()
    while len(seen) < 2 * pages:
        time.sleep(0.01)
    told.send("begun")
    told.recv()
    enough.append(True)
    for thread in threads:
        thread.join()
    times = [seconds for _, seconds in seen]
    told.send(Asked(len(seen), sum(not good for good, _ in seen), max(times)))


def ask(address: str, path: str, seen: list[tuple[bool, float]]) -> Any:
    """One answer as JSON; None if it is a failure."""
    begun = time.monotonic()
    try:
        with urllib.request.urlopen(address + path, timeout=60) as reply:
            answer = json.load(reply)
    except OSError:
        answer = None
    seen.append((answer is not None, time.monotonic() - begun))
    return answer
