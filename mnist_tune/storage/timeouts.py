"""How long to wait for a server that says nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass

ANSWER_SECONDS = 10.0
"""A server that has been silent for so long is asked again, over another connection."""
CLIENT_FACTOR = 6
"""How many times as long a client may be silent within a transaction: it may be busy, on a slow machine."""


@dataclass
class Deadline:
    """The longest silence of a server that all connections of an engine put up with; it may be changed."""

    seconds: float = ANSWER_SECONDS

    @property
    def idle_milliseconds(self) -> int:
        """When the server is to end a transaction whose client has fallen silent; 0 is never."""
        return 0 if self.seconds == math.inf else round(1000 * CLIENT_FACTOR * self.seconds)

    @classmethod
    def of(cls, *, create: bool) -> Deadline:
        """Who creates waits as long as it takes: others create too, and take their turns."""
        return cls(math.inf if create else ANSWER_SECONDS)

    def shorten(self, grace_period: float) -> None:
        """Leave a worker with such a lease the time to ask again before it is over."""
        self.seconds = min(ANSWER_SECONDS, grace_period / 2)
