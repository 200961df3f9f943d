"""`run`: works on a study from Python, with progress in plain lines and a clean end by Ctrl-C."""

from __future__ import annotations

import os
from pathlib import Path

from mnist_tune.api.arguments import check_count, check_text, path_of
from mnist_tune.api.error_lines import told_in_python
from mnist_tune.api.local_run import LocalRun, LocalWorkers, prepare
from mnist_tune.api.storages import Storage, storage_at
from mnist_tune.api.study import Study
from mnist_tune.errors import MnistTuneError
from mnist_tune.hardware.placement import WORKERS_PER_GPU
from mnist_tune.results.standing import totals
from mnist_tune.results.study_results import Results
from mnist_tune.spec.reading import Named, read_spec
from mnist_tune.terminal.display import Display
from mnist_tune.terminal.events import conclusion
from mnist_tune.text.at_caller import warn_at_caller
from mnist_tune.text.console import VisibleConsole
from mnist_tune.text.visible import visible
from mnist_tune.worker.signals import StopRequest

WIDTH = 240
"""The width of a line of progress; a notebook wraps long ones itself."""


@told_in_python()
def run(
    spec: Named,
    storage: Storage = None,
    *,
    workers: int | None = None,
    name: str | None = None,
    device: str = "auto",
    per_gpu: int = WORKERS_PER_GPU,
    threads: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    checkpoints: str | os.PathLike[str] | None = None,
    artifacts: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Study:
    """Create the study unless it exists, have local processes work on it, and return it when finished.

    A study that [stop] has stopped is returned too, unless it was for too many failures; `status.stopped`
    says why. A study that was begun goes on where it stopped, also after a crash. Cells that failed for good
    stay missing and are counted in `status.cells.failed`.

    Ctrl-C, or a notebook's 'interrupt kernel', has the workers finish their epochs and give their cells back.
    A second one has them give the cells back at once, and a third one kills them. KeyboardInterrupt follows.
    Only a main thread gets Ctrl-C from Python: a run in another thread is stopped by `mnist-tune cancel`. If
    this process is killed, its workers leave by themselves.

    A script needs no `if __name__ == "__main__"`: the workers do not run it again.

    spec, storage, name: as for `create_study`.
    workers: how many; None is `per_gpu` on every GPU, else one on every core.
    device: auto, cpu, cuda, cuda:N or mps.
    threads: CPU threads of a worker; None is 1.
    data_dir: the folder of the job's data. MNIST's has MNIST/raw/ in it, and is filled at first use; None is
        $MNIST_TUNE_DATA for it, else the user's cache.
    checkpoints, artifacts: folders for training states, and for weights and logs; None is beside the
        SQLite file. A head keeps these files itself: states only pass through `checkpoints`, and there is no
        `artifacts`.
    progress: whether to print a line for each thing that happens.

    Raises:
        UserError: what is wrong with the spec, the storage or the device.
        MnistTuneError: the workers have left before the study was finished, and why.
        KeyboardInterrupt: it was stopped; nothing is lost, and another call goes on.
    """
    check_count("per_gpu", per_gpu)
    for argument, count in (("workers", workers), ("threads", threads)):
        if count is not None:
            check_count(argument, count)
    check_text("device", device)
    if name is not None:
        check_text("name", name)
    wanted = LocalWorkers(
        workers,
        per_gpu,
        device,
        threads,
        _folder("data_dir", data_dir),
        _folder("checkpoints", checkpoints),
        _folder("artifacts", artifacts),
    )
    # Rich would show HTML, which the logs of notebooks do not keep.
    console = VisibleConsole(width=WIDTH, soft_wrap=True, force_jupyter=False, quiet=not progress)
    prepared = prepare(storage_at(storage), read_spec(spec, name), wanted, console.print)
    for note in prepared.created.notes:
        warn_at_caller(visible(note))
    console.print(prepared.opening())
    for warning in prepared.warnings:
        console.print(f"warning: {warning}")
    stop = StopRequest()
    with stop.listening():
        results = prepared.work(stop, Display(prepared.before, console, may_draw=False))
    for line in conclusion(results):
        console.print(line)
    if results.stopped_badly or not results.is_over:
        unfinished = _unfinished(prepared, results)
        if stop.requested:
            console.print(unfinished)
            raise KeyboardInterrupt
        raise MnistTuneError(unfinished)
    return Study(prepared.service, prepared.created.spec)


def _unfinished(prepared: LocalRun, results: Results) -> str:
    failures = [f"; {failure}" for failure in prepared.pool.failures()]
    more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
    why = f"{failures[0]}{more}" if failures else ""
    if results.why_stopped:
        return (
            f"study '{results.name}' is stopped: {results.why_stopped}; 'mnist-tune resume' goes on with it"
        )
    return f"study '{results.name}' is not finished: {totals(results)}{why}; the same call goes on"


def _folder(argument: str, folder: str | os.PathLike[str] | None) -> Path | None:
    return None if folder is None else path_of(argument, folder).absolute()
