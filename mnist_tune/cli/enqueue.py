"""The command `enqueue`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mnist_tune.cli import storages
from mnist_tune.cli.extend import DryRunOption, say_what_was_added
from mnist_tune.cli.options import JsonOption, StorageOption, StudyArgument


def enqueue(
    study: StudyArgument,
    point: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE...", help="The values of one point, by field.", show_default=False),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="A configuration that 'mnist-tune export' has written, of which the fields are taken that "
            "the study searches; or a CSV file with a header, one point a line.",
            show_default=False,
        ),
    ] = None,
    storage: StorageOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Give a study points that you know, also while workers are on it. One that is a cell is not added again.

    In a sampled search they are claimed first, and the sampler draws what a point leaves out. In a grid a
    point names every axis, and its values need not be those of the axes; an axis that came later may be left
    out, and the value is that of the old cells.

    Example: mnist-tune enqueue seed-grid learning_rate=0.002 batch_size=64 optimizer=Adam
    """
    from mnist_tune.contract.study import new_token
    from mnist_tune.spec.growth import Growth
    from mnist_tune.spec.known_points import typed_points

    service = storages.service(storage)
    wanted = Growth(points=typed_points(service.spec(study), point or [], file))
    extended = service.extend(study, wanted, new_token(), None, dry_run)
    say_what_was_added(study, extended, dry_run=dry_run, as_json=as_json)
