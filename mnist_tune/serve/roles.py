"""What the holder of a token may do."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a token is good for. Each role may do what those before it may."""

    VIEWER = "viewer"
    """Looks at studies, and changes nothing."""
    WORKER = "worker"
    """Works on studies, and looks at them: it must know what it works on."""
    ADMIN = "admin"
    """Does all that can be done: makes, controls and deletes studies too."""

    def allows(self, needed: Role) -> bool:
        """Whether this role may do what takes the role `needed`."""
        order = list(Role)
        return order.index(self) >= order.index(needed)
