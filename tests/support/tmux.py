"""A real terminal of any size whose screen can be read: a pane of a tmux server of its own."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ENDED = "ENDED WITH"
FIXED_SIZE = ("COLUMNS", "LINES")
"""Programs trust these variables more than the terminal; processes of pytest-xdist have them."""


class Terminal:
    """A terminal in which one command runs, and its screen."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def start(self, command: Sequence[str], folder: Path, width: int, height: int) -> None:
        """Run a command; when it has ended, the terminal shows its exit code."""
        line = f"{shlex.join(command)}; echo {ENDED} $?; exec sleep 600"
        self._tmux("new-session", "-d", "-x", str(width), "-y", str(height), "-c", str(folder), line)
        self._tmux("set-option", "-g", "status", "off")
        self.resize(width, height)

    def resize(self, width: int, height: int) -> None:
        """Change the size of the terminal while its command runs."""
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    def press(self, key: str) -> None:
        """Press a key, for example C-c."""
        self._tmux("send-keys", key)

    def screen(self) -> list[str]:
        """The present lines of the screen."""
        return self._tmux("capture-pane", "-p").split("\n")[:-1]

    def picture(self) -> str:
        """The present screen with its colour codes."""
        return self._tmux("capture-pane", "-p", "-e")

    def close(self) -> None:
        """End the terminal and everything that runs in it."""
        self._tmux("kill-server")

    def _tmux(self, *arguments: str) -> str:
        answer = subprocess.run(
            ["tmux", "-u", "-f", os.devnull, "-S", str(self._socket), *arguments],
            env={name: value for name, value in os.environ.items() if name not in FIXED_SIZE}
            | {"LC_ALL": "C.UTF-8"},
            stdout=subprocess.PIPE,
            check=True,
            encoding="utf-8",
        )
        return answer.stdout


@contextmanager
def terminal() -> Iterator[Terminal]:
    """A terminal that is closed at the end of the block."""
    with tempfile.TemporaryDirectory() as folder:  # a socket's path must be short
        opened = Terminal(Path(folder) / "tmux")
        try:
            yield opened
        finally:
            opened.close()
