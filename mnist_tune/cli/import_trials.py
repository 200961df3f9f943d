"""The command `import-trials`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mnist_tune.cli import options, storages
from mnist_tune.cli.options import JsonOption, StorageOption, StudyArgument
from mnist_tune.storage.named import DATABASES


def import_trials(
    study: StudyArgument,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE.csv",
            help="A table with a header, one result a line: the searched fields, and the objective's value. "
            "What Optuna's trials_dataframe().to_csv() writes is one.",
            show_default=False,
        ),
    ] = None,
    from_optuna: Annotated[
        str | None,
        typer.Option(
            "--from-optuna",
            metavar="URL",
            help=f"Instead of a file, another storage of Optuna's, which is only read: {DATABASES}.",
            show_default=False,
        ),
    ] = None,
    of: Annotated[
        str | None,
        typer.Option(
            "--study",
            metavar="NAME",
            help="The study there; may be left out if there is only one.",
            show_default=False,
        ),
    ] = None,
    storage: StorageOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be imported.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Give a study results that were obtained elsewhere, from which its sampler learns.

    They are marked as such, count as no trial of the study, and are never ranked or exported. Only complete
    trials are taken, all of them or, if one does not fit, none. A result that was imported before is not
    imported again.

    Example: mnist-tune import-trials sampled known.csv
    """
    from mnist_tune.api.arguments import results_elsewhere
    from mnist_tune.contract.study import new_token
    from mnist_tune.text.wording import counted

    service = storages.service(storage)
    if from_optuna is not None:
        storages.tame_optuna()
    wanted, left_out = results_elsewhere(service, study, file, from_optuna, of)
    done = service.import_trials(study, wanted, new_token(), dry_run)
    if as_json:
        told = {"study": study, "source": wanted.source} | done.as_json(left_out)
        options.print_json(told | {"dry_run": dry_run})
        return
    would = "would be" if dry_run else "was"
    options.say(f"study '{study}' {would} given {counted(done.added, 'result')} of {wanted.source}")
    if done.known:
        options.say(f"there already: {counted(done.known, 'result')}")
    if left_out:
        options.say(f"left out, since not complete: {counted(left_out, 'trial')}")
