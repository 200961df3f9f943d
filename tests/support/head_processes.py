"""A head in a process of its own, which can be killed, stalled and started again at the same address."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import httpx

from mnist_tune.processes import fork_server
from mnist_tune.processes.child_process import ChildProcess
from tests.support.waiting import wait_until


class HeadProcess:
    """`mnist-tune serve` over a database; a context manager that ends it. Its files lie in `folder`."""

    def __init__(self, url: str, folder: Path, options: Sequence[str] = ()) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self._arguments = [
            *("serve", "--storage", url, "--port", str(self.port), "--free-disk", "0"),
            *("--checkpoints", str(folder / "checkpoints"), "--artifacts", str(folder / "artifacts")),
            *("--tokens", str(folder / "head.tokens"), *options),
        ]
        self.output = folder / "head.output"
        self._process: ChildProcess | None = None

    def __enter__(self) -> HeadProcess:
        self.start()
        self.wait_until_it_answers()
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_alive:
            os.kill(self.pid, signal.SIGCONT)
            self.stop()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.is_alive()

    def start(self) -> None:
        """Start it; it may not answer yet."""
        fork_server.begin(fork_server.WORKERS)
        output = os.open(self.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._process = ChildProcess(
            "tests.support.child_functions:call_in",
            [str(self.output.parent), "mnist_tune.__main__"],
            argv=["mnist-tune", *self._arguments],
            stdout=output,
            stderr=output,
            own_session=True,
        )
        self._process.start()
        os.close(output)

    def wait_until_it_answers(self) -> None:
        """Wait until it answers at its own port, not through a link."""
        wait_until(self._answers)

    def kill(self) -> None:
        """Kill it as a power cut does."""
        assert self._process is not None
        os.kill(self.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """Ask it to stop, and wait until it has."""
        assert self._process is not None
        os.kill(self.pid, signal.SIGTERM)
        ending = self._process.wait(60)
        assert ending is not None, "it does not stop"
        assert ending.code == 0, ending

    def printed(self) -> list[str]:
        """The lines of all its lives."""
        return self.output.read_text("utf-8").splitlines()

    def _answers(self) -> bool:
        assert self.is_alive, self.printed()[-3:]
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.address}/healthz", timeout=5, trust_env=False).status_code == 200
        return False
