"""Sends a file in pieces, and gives up what takes long for a worker that was told twice to stop."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, TypeVar

from mnist_tune.worker.background_call import BackgroundCall

T = TypeVar("T")

PIECE = 1 << 18
URGENT_SECONDS = 2.0
"""How long a request, or what is left of a file, may take for who is in a hurry."""
LOOK_SECONDS = 0.05
"""How often the sending of a file looks whether there is a hurry."""
GIVEN_UP = "it would have taken too long for a worker that was told twice to stop"


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """The content of a file, from its beginning."""
    file.seek(0)
    while piece := file.read(PIECE):
        yield piece


def digest(file: BinaryIO) -> tuple[str, int]:
    """The SHA-256 of a file, in hexadecimal digits, and its size."""
    hashed, size = hashlib.sha256(), 0
    for piece in pieces(file):
        hashed.update(piece)
        size += len(piece)
    return hashed.hexdigest(), size


def unless_hurried(send: Callable[[], T], hurry: Callable[[], bool]) -> T:
    """What `send` returns. It goes on in a thread when it is given up, until its file is closed.

    Raises:
        OSError: there is a hurry, and it has not ended soon.
    """
    answers: list[T] = []
    sending, hurried = BackgroundCall(lambda: answers.append(send()), "sending"), 0.0
    while not sending.wait(LOOK_SECONDS):
        hurried += LOOK_SECONDS if hurry() else 0.0
        if hurried > URGENT_SECONDS:
            raise OSError(GIVEN_UP)
    return answers[0]
