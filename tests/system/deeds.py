"""What is done to processes and to storages in a campaign, and how often."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Victim = Literal["worker", "training process", "command", "watchdog", "fork server", "storage", "head"]
Act = Literal["kill", "stall", "drain", "cut", "lose"]
"""What is done; `lose` an answer of the storage on its way."""


SERVER = ["mnist-tune", "fork-server"]
"""The command line of a fork server."""
ROUND: dict[Act, int] = {"kill": 10, "stall": 2, "drain": 1}
"""What is done, in a new order each time, so that also a short campaign has some of each."""
A_CUT_EVERY = 3
"""In how many rounds the storage is cut once."""
LOST_ANSWERS = 4
"""How many answers of a head are lost in a round."""
KILLED_AGAIN = 0.25
"""How often a head is killed again while it starts."""
START_SECONDS = 1.0
"""How long a head takes to start."""


@dataclass
class Deed:
    """Something that was done to a process, or to the storage. Times are in nanoseconds, monotonic."""

    act: Act
    victim: Victim
    pid: int
    began: int = field(default_factory=time.monotonic_ns)
    ended: int | None = None
    """When a stall or a cut was over, or a head that was killed answered again."""
    keepers: tuple[int, ...] = ()
    """The worker of a training process; the worker and the training process of a command or a watchdog."""

    @property
    def keeps_away(self) -> bool:
        """Whether it kept all workers from their storage."""
        return self.act == "cut" or self.victim == "head"


@dataclass(frozen=True)
class Cruelty:
    """What is done how often. Times are in seconds; `every` is a mean."""

    victims: Mapping[Victim, float]
    """Each victim's weight."""
    workers: int = 4
    every: float = 0.25
    limit: float = 1200.0
