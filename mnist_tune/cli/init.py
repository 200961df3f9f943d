"""The command `init`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from mnist_tune.cli import options


def init(
    what: Annotated[
        Literal["studies", "job"],
        typer.Argument(metavar="studies|job", help="What to write. Default: studies.", show_default=False),
    ] = "studies",
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="Where to. Default: a folder of that name.", show_default=False),
    ] = None,
) -> None:
    """Write files to begin with: a job of your own, or the studies that come with mnist-tune, to be changed.

    'job' writes a small job with its spec and its test, which work as they stand, into a new or empty folder,
    and names them after it. 'studies' copies the specs; a file that is there already stays as it is.

    Example: mnist-tune init job my_job
    """
    folder = folder or Path(what)
    if what == "job":
        _job(folder)
    else:
        _studies(folder)


def _job(folder: Path) -> None:
    from mnist_tune.jobs.first_job import write_first_job

    written = write_first_job(folder)
    options.say(f"wrote {', '.join(map(str, written))}")
    job, spec = shlex.quote(f"{written.job}:train"), shlex.quote(str(written.spec))
    options.say(f"try it with: mnist-tune try {job}")
    options.say(f"search with: mnist-tune run {spec}")
    options.say(f"test it with: pytest {shlex.quote(str(written.test))}")


def _studies(folder: Path) -> None:
    from mnist_tune.spec.shipped import copy_specs

    for path, became in copy_specs(folder).items():
        options.say(f"{path}: {'copied' if became == 'new' else f'{became}, left as it is'}")
    options.say(f"run one with: mnist-tune run {folder / 'quickstart.toml'}")
