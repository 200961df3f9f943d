"""Makes a call that may take long in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable


class BackgroundCall(threading.Thread):
    """A call that has begun. Its error is raised where it is waited for."""

    def __init__(self, call: Callable[[], None], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._call = call
        self._error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._call()
        except Exception as error:  # whatever it is, who waits decides
            self._error = error

    def wait(self, seconds: float) -> bool:
        """Wait for so many seconds at most; returns whether the call has ended. Raises as the call."""
        self.join(seconds)
        if self._error is not None:
            raise self._error
        return not self.is_alive()
