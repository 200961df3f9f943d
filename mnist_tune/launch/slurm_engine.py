"""Workers as a job array of Slurm, submitted through submitit."""

from __future__ import annotations

import io
import os
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.launch.remote_worker import start_worker
from mnist_tune.launch.request import LaunchRequest, refuse_only_here
from mnist_tune.processes.environment import in_environment
from mnist_tune.worker.signals import pass_on

try:
    import submitit
    from submitit.core.utils import DelayedSubmission, FailedJobError, FailedSubmissionError
except ModuleNotFoundError:
    raise UserError("--on slurm: needs submitit; run pip install 'mnist-tune[slurm]'") from None

LOCAL = "local"
"""The address of submitit's own executor: processes on this machine, to try out without Slurm."""
MOST_TIME_LIMITS = 1_000
"""How often a job that reaches its time limit is queued again: in effect, until the study is finished."""
LONGEST_NOTICE = 90
"""A worker is told at most so many seconds before the time limit, in which its epoch must end."""
SHARE_FOR_NOTICE = 0.2
LOOK_SECONDS = 0.2
OURS = {
    "time": "--time",
    "timeout_min": "--time",
    "cpus_per_task": "--cpus-per-worker",
    "gpus_per_node": "--gpus-per-worker",
    "array": "--workers",
    "export": "what a job is to find in its environment into that of this command",
}
"""Options of sbatch for which `launch` has options of its own, and what to write instead."""


@dataclass(frozen=True)
class Submitted:
    """Jobs that Slurm has accepted, and the folder of their logs."""

    jobs: list[str]
    logs: Path


def submit(order: LaunchRequest, address: str | None, minutes: int, folder: Path) -> Submitted:
    """Submit the workers as one array of jobs, and leave them to Slurm.

    Raises:
        UserError: there is no Slurm here, other machines cannot reach the storage, or Slurm cannot give that.
        MnistTuneError: Slurm refused.
    """
    if address not in (None, LOCAL):
        raise UserError(
            f"--address {address}: Slurm is the one of this machine; leave it out, or write local"
        )
    if address is None:
        refuse_only_here(order, "Slurm")
    parameters = _parameters(order, minutes)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        executor = submitit.AutoExecutor(
            folder,
            cluster=address or "slurm",
            slurm_max_num_timeout=MOST_TIME_LIMITS,
            **{f"{name}_python": f"{shlex.quote(sys.executable)} -P" for name in ("slurm", "local")},
        )
    except RuntimeError:
        raise UserError(
            "--on slurm: there is no srun here; do this on a machine of the cluster, "
            "or write --address local for a try without Slurm"
        ) from None
    try:
        executor.update_parameters(**parameters)
        # submitit prints what sbatch complains of, which the error says too.
        quiet = redirect_stderr(io.StringIO())
        # PYTHONSAFEPATH keeps submitit's own processes from importing from the current folder.
        given = {**order.environment, "PYTHONSAFEPATH": "1"}
        with quiet, in_environment(given), executor.batch():
            jobs = [
                executor.submit(WorkerJob(order.study, tuple(order.arguments))) for _ in range(order.workers)
            ]
    except (FailedJobError, FailedSubmissionError) as error:
        reason = str(error).strip().rsplit("\n", 1)[-1].removeprefix("sbatch: error: ")
        raise MnistTuneError(f"Slurm refused: {reason or 'it gave no reason'}") from None
    return Submitted([str(job.job_id) for job in jobs], folder)


class WorkerJob:
    """The function of each job. submitit pickles it into the folder of logs, so it must hold no secret."""

    def __init__(self, study: str, arguments: Sequence[str]) -> None:
        self._study = study
        self._arguments = arguments
        self._worker = self._pipe = 0

    def __call__(self) -> None:
        """Run a worker to its end. A failed worker fails the job; a stopped one makes it exit with 3."""
        # Slurm sends submitit's signal and that of preemption to every process of the job. The first must not
        # kill the worker; the second the worker handles itself.
        before = signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # the worker inherits this
        process = start_worker(self._study, self._arguments)
        assert process.stdin is not None
        self._worker, self._pipe = process.pid, process.stdin.fileno()
        signal.signal(signal.SIGUSR2, before)
        while (code := process.poll()) is None:
            time.sleep(LOOK_SECONDS)
        if code != 0:
            sys.exit(code if code > 0 else 128 - code)

    def checkpoint(self) -> DelayedSubmission:
        """Drain the worker before the time limit, when submitit calls this; the job is queued again."""
        if self._worker:
            pass_on(self._pipe, 1)
            # Not `process.wait`: this handler interrupts the very thread that may hold its lock.
            os.waitid(os.P_PID, self._worker, os.WEXITED | os.WNOWAIT)
        return DelayedSubmission(WorkerJob(self._study, self._arguments))


def _parameters(order: LaunchRequest, minutes: int) -> dict[str, Any]:
    """The parameters for submitit; options that it does not know go to sbatch as they are."""
    for name, ours in OURS.items():
        if name in order.options:
            raise UserError(f"--engine-option {name}={order.options[name]}: write {ours}")
    known = submitit.SlurmExecutor._valid_parameters()
    own = {f"slurm_{name}": _typed(value) for name, value in order.options.items() if name in known}
    rest = {name: value for name, value in order.options.items() if name not in known}
    for option, amount in (("--cpus-per-worker", order.cpus), ("--gpus-per-worker", order.gpus)):
        if amount != int(amount):
            raise UserError(f"{option} {amount:g}: Slurm gives whole ones; write {int(amount) or 1}")
    return {
        "name": f"mnist-tune-{order.study}",
        "timeout_min": minutes,
        "cpus_per_task": int(order.cpus),
        **({"gpus_per_node": int(order.gpus)} if order.gpus else {}),
        "slurm_signal_delay_s": min(LONGEST_NOTICE, int(minutes * 60 * SHARE_FOR_NOTICE)),
        "slurm_array_parallelism": order.workers,
        # Secrets are in the environment alone, not in submitit's files and sbatch's script.
        "slurm_additional_parameters": {"requeue": True, "export": "ALL", **rest},
        **own,
    }


def _typed(value: str) -> int | str:
    return int(value) if value.isdecimal() else value
