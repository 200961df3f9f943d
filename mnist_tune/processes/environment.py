"""The environment variables of processes that are started."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


def without_settings() -> dict[str, str]:
    """This process's variables without ours, for one that is told what it needs: some have secrets."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MNIST_TUNE_")}


@contextmanager
def in_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables within the block, and restore them after it."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
