"""The command `verify`."""

from __future__ import annotations

import typer

from mnist_tune.cli import options, storages
from mnist_tune.cli.options import (
    ArtifactsOption,
    CheckpointsOption,
    JsonOption,
    OnlyStudyArgument,
    StorageOption,
)
from mnist_tune.errors import FAILED


def verify(
    study: OnlyStudyArgument = "",
    storage: StorageOption = None,
    artifacts: ArtifactsOption = None,
    checkpoints: CheckpointsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a stored study and its files against every promise, also while it runs. Changes nothing.

    Exit code 1 if one is broken.

    Example: mnist-tune verify quickstart
    """
    from mnist_tune.terminal.tables import verification_report

    verification = storages.service(storage, checkpoints, artifacts).verify(study)
    if as_json:
        options.print_json(verification.as_json())
    else:
        options.console().print(verification_report(verification))
    if verification.broken:
        raise typer.Exit(FAILED)
