"""The request to an engine: how many workers of which study, and the room that each needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy.engine import URL

from mnist_tune.errors import UserError
from mnist_tune.storage.engine import shown


@dataclass(frozen=True)
class LaunchRequest:
    """Workers of one study, and the room that each of them needs."""

    study: str
    url: URL
    workers: int
    cpus: float = 1.0
    gpus: float = 0.0
    arguments: Sequence[str] = ()
    """Further arguments of `mnist-tune worker`."""
    options: dict[str, str] = field(default_factory=dict)
    """Options that only this engine knows, by the engine's own names."""

    @property
    def secret_url(self) -> str:
        """The storage's URL with its password: only for the environment or arguments of a worker."""
        return self.url.render_as_string(hide_password=False)

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


def refuse_file(url: URL, study: str, engine: str) -> None:
    """Check that workers on other machines can reach the storage.

    Raises:
        UserError: the storage is a file on this machine.
    """
    if url.drivername == "sqlite":
        raise UserError(
            f"{shown(url)}: is a file of this machine, and {engine} may start workers on others; "
            f"move the study with 'mnist-tune copy-study {study} --from {shown(url)} "
            "--to postgresql://USER@HOST/DATABASE' and name that as --storage"
        )
