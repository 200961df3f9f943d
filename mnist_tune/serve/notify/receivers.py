"""Who is told of the events of a head: commands of this machine, and addresses on the web."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from mnist_tune.serve.notify.command_receiver import CommandReceiver
from mnist_tune.serve.notify.receiver import NOTIFY_VARIABLE, SECRET_VARIABLE, Receiver
from mnist_tune.serve.notify.web_receiver import WebReceiver

LIKE_A_URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


def named_receivers(options: Sequence[str] | None) -> list[Receiver]:
    """Those that the options or the environment name; its secret signs what is posted. Raises UserError."""
    texts = options or [line for line in os.environ.get(NOTIFY_VARIABLE, "").splitlines() if line.strip()]
    return receivers(texts, os.environ.get(SECRET_VARIABLE) or None)


def receivers(texts: Sequence[str], secret: str | None) -> list[Receiver]:
    """Those that are named, each once; `secret` signs what is posted.

    Raises:
        UserError: one of them is neither a command that there is nor an address of the web.
    """
    found: list[Receiver] = []
    for text in dict.fromkeys(each.strip() for each in texts):
        is_url = LIKE_A_URL.match(text)
        found.append(WebReceiver(text, secret) if is_url else CommandReceiver(text))
    return found
