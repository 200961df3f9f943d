"""pause, resume, cancel, drain, retry, set: commands for a study's workers, wherever they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mnist_tune.cli import options, storages
from mnist_tune.cli.names import complete_host, complete_worker
from mnist_tune.cli.options import JsonOption, OnlyStudyArgument, StorageOption, StudyArgument
from mnist_tune.errors import FAILED, UserError

if TYPE_CHECKING:
    from mnist_tune.contract.study import Control


def pause(study: OnlyStudyArgument = "", storage: StorageOption = None, as_json: JsonOption = False) -> None:
    """Let no worker begin another trial. Those that run go on to their end; the workers wait.

    Example: mnist-tune pause seed-grid
    """
    from mnist_tune.contract.study import Control

    _set(study, storage, Control.PAUSED, "is paused; mnist-tune resume {name} goes on", as_json)


def resume(study: OnlyStudyArgument = "", storage: StorageOption = None, as_json: JsonOption = False) -> None:
    """Go on with a study that was paused or cancelled, or that has stopped early.

    What stops it then counts anew: from now on, and a target is reached only by a better result.

    Example: mnist-tune resume seed-grid
    """
    from mnist_tune.contract.study import Control

    _set(study, storage, Control.RUNNING, "goes on: workers may take its cells", as_json)


def cancel(study: OnlyStudyArgument = "", storage: StorageOption = None, as_json: JsonOption = False) -> None:
    """Have all workers finish their epoch, give their cells back and leave. Nothing is lost.

    They notice with their next heartbeat.

    Example: mnist-tune cancel seed-grid
    """
    from mnist_tune.contract.study import Control

    _set(study, storage, Control.CANCELLED, "is cancelled; mnist-tune resume {name} opens it again", as_json)


def drain(
    study: OnlyStudyArgument = "",
    worker: Annotated[
        str | None,
        typer.Option(
            "--worker",
            metavar="ID",
            help="HOST:PID, as 'status --workers' shows it.",
            show_default=False,
            autocompletion=complete_worker,
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            "--host",
            help="All workers of this host.",
            show_default=False,
            autocompletion=complete_host,
        ),
    ] = None,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have one worker, or all of a host, finish the epoch, give the cell back and leave.

    They notice with their next heartbeat; others go on from the epoch.

    Example: mnist-tune drain seed-grid --host gpu-1
    """
    if (worker is None) == (host is None):
        raise UserError("drain: name one of --worker ID and --host HOST")
    names = storages.service(storage).drain(study, worker=worker, host=host)
    if as_json:
        options.print_json({"study": study, "draining": names})
    else:
        options.say(f"asked to leave after their epoch: {', '.join(names)}")


def retry(
    study: OnlyStudyArgument = "",
    trial: Annotated[
        int | None,
        typer.Option("--trial", metavar="N", help="Only the cell of this trial.", show_default=False),
    ] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="All cells that failed for good: the default.")
    ] = False,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put cells that failed for good back into the queue, with fresh retry budgets.

    To these belong cells that another program, such as stock Optuna, has ended without training, or deleted.

    Example: mnist-tune retry seed-grid --failed
    """
    if failed and trial is not None:
        raise UserError("retry: name one of --trial N and --failed")
    done = storages.service(storage).retry(study, trial)
    unable = [f"trial {number}: its cell is not put back: {reason}" for number, reason in done.left.items()]
    if as_json:
        options.print_json(
            {"study": study, "retried": done.numbers, "made_anew": done.made_anew, "left": unable}
        )
    else:
        _say_what_is_back(study, done.numbers, done.made_anew, unable)
    if unable:
        raise typer.Exit(FAILED)


def _say_what_is_back(name: str, numbers: list[int], made: list[int], unable: list[str]) -> None:
    if numbers:
        whose = "cell of trial" if len(numbers) == 1 else "cells of trials"
        options.say(f"put back the {whose} {', '.join(map(str, numbers))}")
    if made:
        what = "cell" if len(made) == 1 else "cells"
        options.say(f"made the {what} anew that somebody had deleted: {', '.join(map(str, made))}")
    if numbers or made:
        options.say(f"start workers with: mnist-tune worker {name}")
    elif not unable:
        options.say(f"no cell of '{name}' has failed for good")
    for line in unable:
        options.say(line, err=True)


def set_(
    study: StudyArgument,
    changes: Annotated[
        list[str],
        typer.Argument(
            metavar="TABLE.FIELD=VALUE...",
            help="Fields of the tables limits, retry, stop and lease.",
            show_default=False,
        ),
    ],
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change limits, retry budgets, stopping or the lease of a study that is stored, also while it runs.

    No number depends on these. Running workers go by new limits from their next trial on, by new retry
    budgets from the next failure on; a new lease holds for workers that start from then on. What stops the
    study holds from the next claim on; stop.target=none takes a condition back. The spec's file may say
    otherwise: the study keeps what it was given here.

    Example: mnist-tune set seed-grid limits.timeout=3600 retry.lost=5
    """
    from mnist_tune.study.settings import parse_changes, taken_up
    from mnist_tune.text.wording import setting

    wanted = parse_changes(changes)
    now = storages.service(storage).change_settings(study, wanted)
    if as_json:
        options.print_json({"study": study, "settings": now, "taken_up": taken_up(wanted)})
        return
    for key, value in now.items():
        options.say(f"{key} is {setting(value)}")
    for sentence in taken_up(wanted):
        options.say(sentence)


def _set(study: str, storage: str | None, control: Control, told: str, as_json: bool) -> None:
    storages.service(storage).set_control(study, control)
    if as_json:
        options.print_json({"study": study, "control": control})
    else:
        options.say(f"study '{study}' {told.format(name=study)}")
