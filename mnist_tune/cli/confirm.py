"""The command `confirm`."""

from __future__ import annotations

from typing import Annotated

import typer

from mnist_tune.cli import options, storages
from mnist_tune.cli.options import JsonOption, StorageOption, StudyArgument
from mnist_tune.models import SEEDS


def confirm(
    study: StudyArgument,
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", min=2, help="With how many seeds.")] = SEEDS,
    name: Annotated[
        str | None,
        typer.Option("--name", help="The new study's name. Default: STUDY-confirm.", show_default=False),
    ] = None,
    trial: Annotated[
        int | None,
        typer.Option(
            "--trial",
            metavar="N",
            min=0,
            help="The configuration of this trial, instead of the best one.",
            show_default=False,
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            "--metric",
            metavar="NAME",
            help="The metric of the job's evaluate that counts. Default: the one that is called as the "
            "objective is, without validation_.",
            show_default=False,
        ),
    ] = None,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a study that trains the best configuration on all data, and measures it on test data.

    Any workers run it. Each seed is trained with nothing held back for validation, and measured once by the
    job's evaluate; status, report and export then show the mean, its deviation and its interval. The same
    command again changes nothing.

    Example: mnist-tune confirm quickstart --seeds 5
    """
    from mnist_tune.models.confirm import confirm as confirm_choice
    from mnist_tune.results.exports import vouching

    service = storages.service(storage)
    made = confirm_choice(service, study, seeds=seeds, name=name, trial=trial, metric=metric)
    for line in made.reservations:
        options.say(f"warning: {line}", err=True)
    if as_json:
        options.print_json(made.as_json(service.where))
        return
    its_name = made.spec.study.name
    what = f"{len(made.seeds)} seeds"
    if made.is_new:
        options.say(f"created study '{its_name}' with {what} in {service.where}: {made.told}")
        same = " and the same --storage" if storage else ""
        options.say(f"start workers with: mnist-tune worker {its_name}{vouching(made.spec.job)}{same}")
    else:
        options.say(f"study '{its_name}' is in {service.where} already, with {what}: {made.told}")
