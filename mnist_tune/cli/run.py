"""The command `run`."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from mnist_tune.cli import options, storages
from mnist_tune.cli.options import (
    ArtifactsOption,
    CheckpointsOption,
    DataOption,
    DeviceOption,
    JsonOption,
    NameOption,
    SpecArgument,
    StorageOption,
    ThreadsOption,
)
from mnist_tune.hardware.placement import WORKERS_PER_GPU

NOT_PRELOADED = (
    "job.preload: one of its modules starts threads or a GPU when it is imported, so that each process "
    "imports them itself; leave that one out"
)


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
    end, or weights for which there was no room, or if it has stopped after too many failures; 3 if a person
    stopped it.

    Example: mnist-tune run studies/quickstart.toml --workers 2
    """
    from mnist_tune.processes import fork_server, standard_streams
    from mnist_tune.spec.preloading import modules_to_preload

    # It loads torch and Optuna, and what the job needs, while this process loads Optuna.
    fork_server.begin(fork_server.WORKERS, modules_to_preload(spec))
    from mnist_tune.api.local_run import LocalWorkers, prepare
    from mnist_tune.terminal.display import Display
    from mnist_tune.terminal.ending import tell_the_end
    from mnist_tune.worker.signals import StopRequest

    standard_streams.work_on()
    storages.tame_optuna()
    loaded = options.spec(spec, name)
    wanted = LocalWorkers(workers, per_gpu, device, threads, data_dir, checkpoints, artifacts)
    prepared = prepare(storages.named(storage), loaded, wanted, partial(options.say, err=True))
    out = options.console(to_stderr=as_json)
    out.print(prepared.opening())
    options.say_notes(prepared.created.notes)
    for warning in prepared.warnings:
        out.print(f"warning: {warning}")
    stop = StopRequest()
    stop.listen()
    results = prepared.work(stop, Display(prepared.before, out))
    if loaded.spec.job.preload and fork_server.is_vain():
        options.say(f"note: {NOT_PRELOADED}", err=True)
    if as_json:
        options.print_json(results.as_json())
    tell_the_end(results, prepared.pool, stop, out)
