"""What a receiver of events is, and where those of a head are named."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Protocol

from mnist_tune.serve.client import TOKEN_VARIABLE
from mnist_tune.serve.notify.events import Event

NOTIFY_VARIABLE = "MNIST_TUNE_NOTIFY"
"""The environment variable that names receivers, one a line, where the option does not: URLs hold secrets."""
SECRET_VARIABLE = "MNIST_TUNE_NOTIFY_SECRET"
"""The environment variable with the secret by which receivers know that a head has sent an event."""
SECONDS = 30.0
"""How long a receiver may take."""


class NotTold(Exception):  # noqa: N818 - an outcome more than an error
    """A receiver was not told of an event; the message says why, without a secret."""


class Receiver(Protocol):
    """Somebody who is told of events."""

    @property
    def key(self) -> str:
        """Tells it from others, also after another start, and says nothing of it."""

    @property
    def shown(self) -> str:
        """What to call it, without its secrets."""

    async def tell(self, event: Event) -> None:
        """Tell it of an event. Raises NotTold."""

    async def close(self) -> None:
        """Let go of what it holds."""


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a head for a command, which may ask mnist-tune for more of its storage."""
    secrets = {SECRET_VARIABLE, NOTIFY_VARIABLE, TOKEN_VARIABLE}
    return {name: value for name, value in environment.items() if name not in secrets}


def key_of(text: str) -> str:
    """The key of the receiver that is named so."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]
