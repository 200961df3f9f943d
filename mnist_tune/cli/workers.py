"""run, worker."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from mnist_tune.cli import options
from mnist_tune.cli.options import (
    ArtifactsOption,
    CheckpointsOption,
    DataOption,
    DeviceOption,
    JsonOption,
    NameOption,
    SpecArgument,
    StorageOption,
    StudyArgument,
    ThreadsOption,
)
from mnist_tune.errors import FAILED, STOPPED, UserError
from mnist_tune.hardware.placement import WORKERS_PER_GPU
from mnist_tune.text.times import stamp


def worker(
    study: StudyArgument,
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
    3); a second one gives it back at once. A study that ended with cells or weights missing is exit code 1.

    Example: mnist-tune worker seed-grid --storage postgresql://tuner@database-host/studies
    """
    from mnist_tune.processes import fork_server, standard_streams
    from mnist_tune.processes.new_process import refuse_version
    from mnist_tune.worker.child import TrainingProcess
    from mnist_tune.worker.signals import StopRequest

    if pooled and (refusal := refuse_version(pooled)):
        raise UserError(refusal)
    standard_streams.work_on()
    stop = StopRequest()
    stop.listen()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, fork_server.HELD_BACK)  # by whoever started it
    if pooled:
        stop.follow(sys.stdin.fileno())

    def log(line: str) -> None:
        options.say(f"{stamp(on_terminal=sys.stdout.isatty())} {line}")

    with TrainingProcess() as process:
        process.start()  # it loads torch while all that follows loads Optuna
        opened = options.study(study, storage)
        from mnist_tune.results.reading import read_results
        from mnist_tune.worker.assembly import Equipment, run_worker
        from mnist_tune.worker.loop import Ended

        folders = options.folders(storage, checkpoints, artifacts)
        equipment = Equipment(device, threads, data_dir, *folders)
        ended = run_worker(opened, equipment, process, stop, log, max_trials, pooled=bool(pooled))
    if ended in (Ended.STOPPED, Ended.CANCELLED):
        raise typer.Exit(STOPPED)
    if ended is Ended.FAILING:
        raise typer.Exit(FAILED)
    if ended is Ended.FINISHED and not pooled:
        results = read_results(opened)
        for missing, is_so in (("cells", results.cells.failed), ("weights", results.without_weights)):
            if is_so:
                log(f"{missing} are missing: see mnist-tune status {study}")
        if results.cells.failed or results.without_weights:
            raise typer.Exit(FAILED)


def run(
    spec: SpecArgument,
    storage: StorageOption = None,
    name: NameOption = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=1,
            help="Local workers. Default: --per-gpu on every GPU, else one per core.",
            show_default=False,
        ),
    ] = None,
    per_gpu: Annotated[
        int,
        typer.Option(
            "--per-gpu", min=1, help="Workers that share a GPU, unless --workers says how many there are."
        ),
    ] = WORKERS_PER_GPU,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    data_dir: DataOption = None,
    checkpoints: CheckpointsOption = None,
    artifacts: ArtifactsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create the study, run it with local workers, and print the ranking.

    Started again after a stop or a crash, it goes on where it was. Exit code 1 if cells are missing in the
    end, or weights for which there was no room; 3 if it was stopped.

    Example: mnist-tune run studies/quickstart.toml --workers 2
    """
    from mnist_tune.processes import fork_server, standard_streams

    fork_server.begin(fork_server.WORKERS)  # it loads torch and Optuna while all that follows loads Optuna
    from mnist_tune.api.local_run import Equipment, prepare
    from mnist_tune.storage.engine import storage_url
    from mnist_tune.terminal.display import Display
    from mnist_tune.terminal.ending import tell_the_end
    from mnist_tune.worker.signals import StopRequest

    standard_streams.work_on()
    options.tame_optuna()
    loaded = options.spec(spec, name)
    equipment = Equipment(workers, per_gpu, device, threads, data_dir, checkpoints, artifacts)
    prepared = prepare(storage_url(storage), loaded, equipment)
    out = options.console(to_stderr=as_json)
    for line in prepared.opening():
        out.print(line)
    options.say_notes(prepared.creation.notes)
    stop = StopRequest()
    stop.listen()
    results = prepared.work(stop, Display(prepared.before, out))
    if as_json:
        options.print_json(results.as_json())
    tell_the_end(results, prepared.pool, stop, out)
