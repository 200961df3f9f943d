"""The command `logs`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from mnist_tune.cli import options, storages
from mnist_tune.cli.options import ArtifactsOption, JsonOption, OnlyStudyArgument, StorageOption
from mnist_tune.errors import STOPPED, UserError

if TYPE_CHECKING:
    from mnist_tune.results.study_results import Results
    from mnist_tune.results.trial_result import TrialResult


def logs(
    study: OnlyStudyArgument = "",
    trial: Annotated[
        int | None,
        typer.Option("--trial", metavar="N", help="Only this trial's.", show_default=False),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what happens, to the end or Ctrl-C.")
    ] = False,
    storage: StorageOption = None,
    artifacts: ArtifactsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what the workers said of a study's trials, with the traceback of one that failed.

    A worker stores its log at the end of a trial, wherever it runs. Of one that runs, or whose worker was
    lost, you see what the storage knows: its epochs and its end. Lines that the job has printed are marked
    with |; the newest megabyte of them is kept.

    Example: mnist-tune logs quickstart --trial 5 --follow
    """
    from mnist_tune.results.trial_logs import beginnings_that_failed, log_of
    from mnist_tune.service.calls import results_again
    from mnist_tune.terminal.follow import watch
    from mnist_tune.terminal.tail import Tail
    from mnist_tune.worker.signals import StopRequest

    if follow and as_json:
        raise UserError("--follow is for people; leave out --json, or ask 'logs --json' now and then")
    service = storages.service(storage, artifacts=artifacts)
    results = service.results(study, with_logs=True)
    chosen = _chosen(results, trial)
    if as_json:
        lines = {attempt.number: list(log_of(results, attempt, service.kept_file)) for attempt in chosen}
        options.print_json([{"trial": number, "lines": said} for number, said in lines.items()])
        return
    stop = StopRequest()
    if follow:
        stop.listen()
    out = options.console()
    for attempt in chosen:
        for line in log_of(results, attempt, service.kept_file):
            out.print(line if trial is not None else f"trial {attempt.number}: {line}")
    if trial is None:
        for line in beginnings_that_failed(results):
            out.print(line)
    if not follow:
        return
    tail = Tail(results, out, trial)
    watch(partial(results_again, service, results.name), results, stop, tail, tail.is_over)
    if stop.requested:
        raise typer.Exit(STOPPED)


def _chosen(results: Results, trial: int | None) -> list[TrialResult]:
    if trial is None:
        return results.attempts
    chosen = [attempt for attempt in results.attempts if attempt.number == trial]
    if not chosen:
        raise UserError(
            f"study '{results.name}' has no trial {trial}; it has 0 to {len(results.attempts) - 1}"
        )
    return chosen
