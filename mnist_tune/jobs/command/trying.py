"""Runs a command once, as a worker would run it, without a worker, a storage or a study."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mnist_tune.errors import MnistTuneError
from mnist_tune.hardware.devices import resolve_runtime
from mnist_tune.jobs.command.ending import CommandFailed
from mnist_tune.jobs.command.hosted import STOPS, HostedCommand
from mnist_tune.jobs.command.permitted import PermittedCommand
from mnist_tune.jobs.host import in_one_line
from mnist_tune.jobs.interface import JobMistake, NonFiniteMetric
from mnist_tune.jobs.metrics import EpochMetrics
from mnist_tune.jobs.trying import Alone, States, Tried, completing
from mnist_tune.text.wording import first_line


def try_command(
    command: PermittedCommand,
    settings: Mapping[str, Any],
    *,
    device: str = "auto",
    threads: int | None = None,
    save: Path | None = None,
    on_epoch: Callable[[EpochMetrics], None] = lambda _: None,
    on_line: Callable[[str], None] = lambda _: None,
    states: States | None = None,
) -> Tried:
    """Run a command once, here and now; what it prints goes to standard error.

    Args:
        command: The command and its folder.
        settings: The hyperparameters that differ from their defaults.
        device, threads, save, on_epoch, on_line, states: See `jobs.trying.try_job`.

    Raises:
        UserError: there is no such program or device, or the folder is not empty.
        MnistTuneError: the command failed, reported wrongly, or a metric became inf or nan.
    """
    tried = Tried(command.table.describe())
    defaults = {name: field.default for name, field in tried.job.fields.items() if not field.is_required}
    tried.settings = defaults | dict(settings)
    runtime = resolve_runtime(device, threads=threads)
    handlers = {number: signal.getsignal(number) for number in STOPS}
    hosted = HostedCommand(command, runtime.device, runtime.threads)
    for number, handler in handlers.items():  # here no worker decides what they mean
        signal.signal(number, handler)
    with completing(tried, save):
        try:
            tried.files = hosted.run(Alone(tried, on_epoch, on_line, states=states), tried.settings)
        except CommandFailed as failed:
            raise MnistTuneError(first_line(failed.failure.reason)) from None
        except (JobMistake, NonFiniteMetric) as error:
            raise MnistTuneError(in_one_line(error)) from None
    return tried
