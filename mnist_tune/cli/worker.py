"""The command `worker`."""

from __future__ import annotations

import signal
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from mnist_tune.cli import options, storages
from mnist_tune.cli.options import (
    AllowCommandOption,
    ArtifactsOption,
    CheckpointsOption,
    DataOption,
    DeviceOption,
    JobOption,
    StorageOption,
    ThreadsOption,
    WorkersStudyArgument,
)
from mnist_tune.cli.storages import study_for_workers
from mnist_tune.errors import FAILED, STOPPED, UserError
from mnist_tune.text.times import stamp


def worker(
    study: WorkersStudyArgument = "",
    storage: StorageOption = None,
    device: DeviceOption = "auto",
    max_trials: Annotated[
        int | None,
        typer.Option("--max-trials", min=1, help="Leave after this many trials.", show_default=False),
    ] = None,
    threads: ThreadsOption = None,
    data_dir: DataOption = None,
    checkpoints: CheckpointsOption = None,
    artifacts: ArtifactsOption = None,
    job: JobOption = None,
    allow_command: AllowCommandOption = None,
    command_digest: Annotated[
        str | None,
        typer.Option("--command-digest", hidden=True, help="Only the command with this SHA-256."),
    ] = None,
    pooled: Annotated[
        str | None,
        typer.Option(
            "--pooled",
            metavar="VERSION",
            hidden=True,
            help="Started by 'run' or 'launch' of this version: ends with it, and leaves the verdict to it.",
        ),
    ] = None,
) -> None:
    """Run trials of a study until it is finished. Start as many as you like, on any machine.

    Ctrl-C or SIGTERM ends the trial in hand after its epoch and gives it back, to go on from there (exit code
    3); a second one gives it back at once. Exit code 1: the study has ended with cells or weights missing, or
    has stopped after too many failures.

    Example: mnist-tune worker seed-grid --storage postgresql://tuner@database-host/studies
    """
    from mnist_tune.processes import fork_server, standard_streams
    from mnist_tune.processes.new_process import refuse_version
    from mnist_tune.worker.child import TrainingProcess
    from mnist_tune.worker.signals import Interrupted, StopRequest

    if pooled and (refusal := refuse_version(pooled)):
        raise UserError(refusal)
    standard_streams.work_on()
    stop = StopRequest()
    stop.listen()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, fork_server.HELD_BACK)  # its starter may have blocked them
    if pooled:
        stop.follow(sys.stdin.fileno())

    def log(line: str) -> None:
        options.say(f"{stamp(on_terminal=sys.stdout.isatty())} {line}")

    with TrainingProcess() as process:
        process.start()  # it loads torch while this process loads Optuna
        from mnist_tune.spec.sections import LeaseSettings
        from mnist_tune.worker.assembly import Equipment, answer_before_work, run_worker
        from mnist_tune.worker.consent import job_at_hand
        from mnist_tune.worker.loop import Ended

        why = None
        try:
            study = study or answer_before_work(
                lambda: options.only_study(storage, "worker"), LeaseSettings().storage_timeout, stop, log
            )
            with study_for_workers(study, storage, checkpoints, artifacts, stop, log) as opened:
                at_hand = job_at_hand(job, allow_command, command_digest)
                equipment = Equipment(device, threads, data_dir, at_hand)
                ended = run_worker(opened, equipment, process, stop, log, max_trials, pooled=bool(pooled))
                if ended is Ended.HALTED:
                    timeout = opened.spec.lease.storage_timeout
                    why = answer_before_work(opened.stopped, timeout, stop, log)
        except Interrupted:
            log(f"leaving: {stop.reason}")
            raise typer.Exit(STOPPED) from None
    if ended in (Ended.STOPPED, Ended.CANCELLED):
        raise typer.Exit(STOPPED)
    if ended is Ended.FAILING or (why is not None and why.is_failure and not pooled):
        raise typer.Exit(FAILED)
    if ended is Ended.FINISHED and not pooled:
        missing = answer_before_work(  # results would load Optuna, also from a head
            lambda: storages.service(storage).missing(study), opened.spec.lease.storage_timeout, stop, log
        )
        for what, count in asdict(missing).items():
            if count:
                log(f"{what} are missing: see mnist-tune status {study}")
        if missing.cells or missing.weights:
            raise typer.Exit(FAILED)
