"""How long to wait for a database server that does not answer."""

from __future__ import annotations

import math
from dataclasses import dataclass

ANSWER_SECONDS = 10.0
"""After so many seconds without an answer, a server is asked again over another connection."""
CLIENT_FACTOR = 6
"""How many times longer a client may be silent within a transaction, since a slow machine may be busy."""


@dataclass
class Deadline:
    """How long, in seconds, all connections of an engine wait for a silent server; may be changed later."""

    seconds: float = ANSWER_SECONDS

    @property
    def idle_milliseconds(self) -> int:
        """When the server ends the transaction of a silent client, in milliseconds; 0 means never."""
        return 0 if self.seconds == math.inf else round(1000 * CLIENT_FACTOR * self.seconds)

    @classmethod
    def of(cls, *, create: bool) -> Deadline:
        """The deadline for a new engine; without a limit for creators, who take turns."""
        return cls(math.inf if create else ANSWER_SECONDS)

    def shorten(self, grace_period: float) -> None:
        """Shorten the deadline so that a worker with this grace period (seconds) can ask a second time."""
        self.seconds = min(self.seconds, ANSWER_SECONDS, grace_period / 2)
