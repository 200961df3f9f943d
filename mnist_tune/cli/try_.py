"""The command `try`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnist_tune.cli import options
from mnist_tune.cli.job_errors import job_errors
from mnist_tune.cli.options import DataOption, DeviceOption, JobArgument, JsonOption, ThreadsOption
from mnist_tune.processes import standard_streams

if TYPE_CHECKING:
    from mnist_tune.jobs.trying import Tried


def try_(
    job: JobArgument,
    fixed: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A field of [training]; may be repeated. Default: the job's.",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option("--epochs", metavar="N", help="The same as --set epochs=N.", show_default=False),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            metavar="KEY=VALUE",
            help="A field of [data]; may be repeated. Default: the job's.",
            show_default=False,
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save",
            metavar="DIR",
            help="A new folder for the files that the job saves. Without it none is written.",
            show_default=False,
        ),
    ] = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    data_dir: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a job once, in this very process: breakpoint(), print() and profilers work. Nothing is stored.

    It has the numbers that a trial of a study has with the same settings and seed. An error in the job shows
    its traceback. Of a spec, the fixed fields are taken too; a command runs as a worker runs it. Exit code 1
    if the job fails, 3 if it was stopped by Ctrl-C.

    Example: mnist-tune try job.py:train --set learning_rate=0.01 --epochs 3
    """
    from mnist_tune.jobs.command.permitted import PermittedCommand
    from mnist_tune.jobs.command.trying import try_command
    from mnist_tune.jobs.loading import load_job
    from mnist_tune.jobs.trying import try_job
    from mnist_tune.spec.assignments import typed_fields
    from mnist_tune.spec.reading import chosen_job

    standard_streams.work_on()
    typed = [*(fixed or []), *([] if epochs is None else [f"epochs={epochs}"])]
    with job_errors("stopped before the last epoch", as_json=as_json):
        chosen = chosen_job(job)
        if isinstance(chosen.job, PermittedCommand):
            description = chosen.job.table.describe()
        else:
            loaded, description = load_job(chosen.job)
        settings, chosen_data = typed_fields(
            description, typed, data or [], training_table=chosen.training, data_table=chosen.data
        )
        total = settings.get("epochs", description.fields["epochs"].default)
        how: dict[str, Any] = {
            "device": device,
            "threads": threads,
            "save": save,
            "on_epoch": lambda metrics: options.say(metrics.line(total, description)),
            "on_line": options.say,
        }
        if isinstance(chosen.job, PermittedCommand):
            tried = try_command(chosen.job, settings, **how)
        else:
            tried = try_job(loaded, settings, chosen_data, data_directory=data_dir, **how)
    if as_json:
        options.print_json(tried.as_json())
    else:
        for line in _ending(tried, save):
            options.say(line)


def _ending(tried: Tried, save: Path | None) -> Iterator[str]:
    from mnist_tune.jobs.metric import words

    yield f"complete: {words(tried.job.objective)} {tried.job.text(tried.value)}"
    for name, fact in tried.facts.items():
        yield f"noted: {name} = {fact}"
    where = "not written without --save DIR" if save is None else f"in {save}"
    for name, content in tried.files.items():
        yield f"file: {name}, {len(content):,} bytes, {where}"
    if tried.state_problem is not None:
        yield f"state: a retry would begin anew: {tried.state_problem}"
    elif tried.state_bytes is not None:
        yield f"state: {tried.state_bytes:,} bytes, from which a retry goes on"
