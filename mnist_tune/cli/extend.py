"""The command `extend`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mnist_tune.cli import options, storages
from mnist_tune.cli.options import JsonOption, StorageOption, StudyArgument
from mnist_tune.errors import UserError

if TYPE_CHECKING:
    from mnist_tune.service.calls import Extended

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would be added.")]


def extend(
    study: StudyArgument,
    n_trials: Annotated[
        str | None,
        typer.Option(
            "--n-trials",
            metavar="N",
            help="More trials of a sampled search: +50, or how many in all.",
            show_default=False,
        ),
    ] = None,
    add: Annotated[
        list[str] | None,
        typer.Option(
            "--add",
            metavar="FIELD=VALUE,...",
            help="More values of an axis of a grid, or a new axis; the old cells keep the value that they "
            "have. Can be repeated.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            "--seeds",
            metavar="N",
            help="More seeds of each configuration of a grid or, with --top, of any study: +2, or how many "
            "in all.",
            show_default=False,
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            metavar="N",
            min=1,
            help="With --seeds: only of the first N of the ranking.",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[
        str | None,
        typer.Option(
            "--epochs",
            metavar="N",
            help="More epochs of each trial: +10, or how many in all. Complete ones go on where they have "
            "ended, from checkpoints that [limits] keep_last has kept.",
            show_default=False,
        ),
    ] = None,
    storage: StorageOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Give a study more cells, also while workers are on it. What is there stays, and nothing runs twice.

    Workers that wait take the new cells, and a study that was finished is open again. A number without + says
    how many there are to be in all, so that the same command again adds nothing.

    Example: mnist-tune extend seed-grid --add learning_rate=0.003 --seeds +2
    """
    from mnist_tune.contract.study import new_token
    from mnist_tune.spec.growth_texts import growth_from

    if top is not None and seeds is None:
        raise UserError("--top: says whose seeds --seeds adds; name --seeds too")
    service = storages.service(storage)
    wanted = growth_from(service.spec(study), n_trials, add or [], seeds, epochs)
    extended = service.extend(study, wanted, new_token(), top, dry_run)
    say_what_was_added(study, extended, dry_run=dry_run, as_json=as_json)


def say_what_was_added(study: str, extended: Extended, *, dry_run: bool, as_json: bool) -> None:
    """Print what a study was given, or would be."""
    from mnist_tune.contract.study import Control
    from mnist_tune.text.wording import counted, parameters_text

    added, total = extended.added, counted(extended.spec.n_cells, "cell")
    if as_json:
        options.print_json(extended.as_json(study) | {"dry_run": dry_run})
        return
    for point in extended.known:
        options.say(f"a cell already: {parameters_text(point)}")
    if added is None:
        options.say(f"study '{study}' has all that already: {total}, nothing was added")
    elif dry_run:
        options.say(f"study '{study}' would be given {added.told}, and have {total}")
    else:
        options.say(f"gave study '{study}' {added.told}: it has {total} now")
        if added.epochs and extended.spec.pruner is not None:
            options.say("cells that were pruned stay so")
        if extended.control is not Control.RUNNING:
            options.say(f"it is {extended.control}; go on with: mnist-tune resume {study}")
        options.say(f"start workers with: mnist-tune worker {study}")
