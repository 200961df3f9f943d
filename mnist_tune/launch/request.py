"""The request to an engine: how many workers of which study, and the room that each needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mnist_tune.errors import UserError


class OnlyHere(NamedTuple):
    """Why workers on other machines cannot reach a storage."""

    what: str
    """What it is, such as a file of this machine."""
    remedy: str
    """What is to be done so that a head answers them."""


@dataclass(frozen=True)
class LaunchRequest:
    """Workers of one study, and the room that each of them needs."""

    study: str
    environment: Mapping[str, str] = field(repr=False)
    """Variables by which each worker finds the storage. They hold secrets, and are kept in memory alone."""
    workers: int
    cpus: float = 1.0
    gpus: float = 0.0
    arguments: Sequence[str] = ()
    """Further arguments of `mnist-tune worker`."""
    options: dict[str, str] = field(default_factory=dict)
    """Options that only this engine knows, by the engine's own names."""
    only_here: OnlyHere | None = None

    @property
    def room(self) -> str:
        """The room that a worker needs, in words."""
        gpus = f" and {self.gpus:g} GPU" if self.gpus else ""
        return f"{self.cpus:g} CPU{gpus}"


def engine_options(given: Sequence[str]) -> dict[str, str]:
    """Turn KEY=VALUE pairs into a dictionary.

    Raises:
        UserError: a text is no such pair.
    """
    for pair in given:
        key, equals, value = pair.partition("=")
        if not (key and equals and value):
            raise UserError(f"--engine-option {pair}: write KEY=VALUE")
    return dict(pair.split("=", 1) for pair in given)


def refuse_only_here(order: LaunchRequest, engine: str) -> None:
    """Check that workers on other machines can reach the storage.

    Raises:
        UserError: the storage is a file of this machine, or a head that answers this machine alone.
    """
    if order.only_here is not None:
        raise UserError(
            f"{order.only_here.what}, and {engine} may start workers on others; "
            f"{order.only_here.remedy}, and name the address that it prints as --storage"
        )
