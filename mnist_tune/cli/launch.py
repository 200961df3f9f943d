"""The command `launch`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnist_tune.cli import options, storages
from mnist_tune.cli.options import (
    AllowCommandOption,
    ArtifactsOption,
    CheckpointsOption,
    DataOption,
    DeviceOption,
    JobOption,
    JsonOption,
    StorageOption,
    StudyArgument,
    ThreadsOption,
)
from mnist_tune.launch import EngineName

if TYPE_CHECKING:
    from mnist_tune.launch.request import LaunchRequest
    from mnist_tune.results.study_results import Results
    from mnist_tune.service.calls import StudiesForPeople

MINUTES = 60


def launch(
    study: StudyArgument,
    on: Annotated[EngineName, typer.Option("--on", help="Who places and restarts the workers.")],
    workers: Annotated[
        int,
        typer.Option("--workers", min=1, help="As many workers, but no more than there are cells left."),
    ],
    storage: StorageOption = None,
    cpus_per_worker: Annotated[
        float | None,
        typer.Option("--cpus-per-worker", min=0, help="Default: as many as --threads.", show_default=False),
    ] = None,
    gpus_per_worker: Annotated[
        float,
        typer.Option("--gpus-per-worker", min=0, help="With Ray also a part of one: four share it at 0.25."),
    ] = 0.0,
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            help="Ray: auto, HOST:PORT or ray://HOST:10001; without it $RAY_ADDRESS, else a Ray on this "
            "machine that ends with the command. Slurm: local is a try on this machine without Slurm.",
            show_default=False,
        ),
    ] = None,
    time: Annotated[
        int,
        typer.Option("--time", metavar="MINUTES", min=1, help="Slurm: a job's time, then it queues again."),
    ] = MINUTES,
    engine_option: Annotated[
        list[str] | None,
        typer.Option(
            "--engine-option",
            metavar="KEY=VALUE",
            help="Slurm: any option of sbatch, such as partition=gpu. Ray: how much of a resource of your "
            "own a worker takes, such as fast_disk=1. May be given several times.",
            show_default=False,
        ),
    ] = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    data_dir: DataOption = None,
    checkpoints: CheckpointsOption = None,
    artifacts: ArtifactsOption = None,
    job: JobOption = None,
    allow_command: AllowCommandOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have Ray or Slurm run workers of a study, on as many machines as they have.

    The study stays in its storage: a launch that dies loses nothing, and a second one only adds workers. With
    Ray the command shows the study until it is finished; Ctrl-C is as for 'run'. With Slurm it submits and
    leaves.

    Example: mnist-tune launch seed-grid --on ray --workers 8 --address auto
    """
    from mnist_tune.contract.retrying import StorageRetry
    from mnist_tune.jobs.command.permitted import digest
    from mnist_tune.launch.request import LaunchRequest, engine_options
    from mnist_tune.spec.sections import LeaseSettings
    from mnist_tune.worker.consent import job_at_hand, permitted_job
    from mnist_tune.worker.pool import worker_arguments

    named, service = storages.named(storage), storages.service(storage)
    named.refuse_folders(artifacts)
    ask = StorageRetry(LeaseSettings().storage_timeout, partial(options.say, err=True), hurry=lambda: False)
    results = ask(lambda: service.results(study))
    wanted = results.spec.job
    at_hand = job_at_hand(job, allow_command, digest(wanted))
    if wanted.name is None:
        permitted_job(wanted, at_hand)  # else each worker would refuse it
    n_workers = min(workers, results.cells.waiting + results.cells.running)
    # A worker without a GPU of its own must not take one. Ray and Slurm tell a worker which GPU it has.
    chosen = "cpu" if device == "auto" and not gpus_per_worker else device
    data, states, files = (folder and folder.absolute() for folder in (data_dir, checkpoints, artifacts))
    order = LaunchRequest(
        study,
        named.environment,
        n_workers,
        float(threads or 1) if cpus_per_worker is None else cpus_per_worker,
        gpus_per_worker,
        [
            "--device",
            chosen,
            *worker_arguments(threads, data, states, files, at_hand),
        ],
        engine_options(engine_option or []),
        named.only_here,
    )
    told = {"engine": on, "study": study, "storage": service.where, "workers": n_workers}
    if results.is_finished or results.why_stopped:
        how = f"stopped: {results.why_stopped}" if results.why_stopped else "finished"
        options.console(to_stderr=as_json).print(f"study '{study}' is {how}: nothing to launch")
        if as_json:
            options.print_json(told)
    elif on is EngineName.RAY:
        _on_ray(service, results, order, address, told, as_json)
    else:
        _on_slurm(ask(lambda: service.uid(study)), order, address, time, told, as_json)


def _on_ray(
    service: StudiesForPeople,
    results: Results,
    order: LaunchRequest,
    address: str | None,
    told: dict[str, Any],
    as_json: bool,
) -> None:
    from functools import partial

    from mnist_tune.launch import ray_engine
    from mnist_tune.processes import standard_streams
    from mnist_tune.service.calls import results_again
    from mnist_tune.terminal.display import Display
    from mnist_tune.terminal.ending import tell_the_end
    from mnist_tune.terminal.follow import follow
    from mnist_tune.worker.signals import StopRequest

    out = options.console(to_stderr=as_json)
    standard_streams.work_on()
    stop = StopRequest()
    where = ray_engine.connect(order, address)
    try:
        stop.listen()  # after Ray, which handles SIGTERM too
        out.print(f"study '{order.study}' on {where}: {_workers(order)}")
        if not ray_engine.has_room(order):
            out.print("no node there can hold such a worker: they wait for one that joins; Ctrl-C gives up")
        pool = ray_engine.RayPool(order)
        read = partial(results_again, service, order.study)
        results = follow(read, results, pool, pool.start, stop, Display(results, out))
    finally:
        ray_engine.disconnect()
    if as_json:
        options.print_json(told | {"on": where, "cells": results.as_json()["cells"]})
    tell_the_end(results, pool, stop, out)


def _on_slurm(
    uid: str,
    order: LaunchRequest,
    address: str | None,
    minutes: int,
    told: dict[str, Any],
    as_json: bool,
) -> None:
    from mnist_tune.files.home import user_folder
    from mnist_tune.launch import slurm_engine

    # The folder is named by the study's uid: another study elsewhere may have the same name.
    folder = user_folder("data", "$XDG_DATA_HOME") / "slurm" / uid
    submitted = slurm_engine.submit(order, address, minutes, folder)
    if as_json:
        options.print_json(told | {"jobs": submitted.jobs, "logs": str(submitted.logs)})
        return
    jobs = f"{'job' if len(submitted.jobs) == 1 else 'jobs'} {', '.join(submitted.jobs)}"
    options.say(f"submitted {_workers(order)}: {jobs}")
    options.say(f"what they print goes to {submitted.logs}")
    options.say(f"look at them with: mnist-tune status {order.study} --watch")


def _workers(order: LaunchRequest) -> str:
    from mnist_tune.text.wording import counted

    return f"{counted(order.workers, 'worker')} of {order.room}{' each' if order.workers > 1 else ''}"
