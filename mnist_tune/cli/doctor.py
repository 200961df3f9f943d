"""The command `doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING

import typer

from mnist_tune.cli import options
from mnist_tune.cli.options import DataOption, JsonOption, StorageOption
from mnist_tune.errors import FAILED

if TYPE_CHECKING:
    from mnist_tune.doctor.machine import CheckResult

STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def doctor(storage: StorageOption = None, data_dir: DataOption = None, as_json: JsonOption = False) -> None:
    """Check this machine and a storage, and say what to do about each problem.

    Python, packages, devices, the MNIST files, the database and its speed, the folders beside it; or the
    head. Makes nothing, and leaves what is stored as it is. Exit code 1 if there is a problem.

    Example: mnist-tune doctor --storage postgresql://tuner@database-host/studies
    """
    from rich.text import Text

    from mnist_tune.doctor.machine import Severity, machine_checks

    out = options.console()
    findings = []
    for finding in chain(machine_checks(data_dir), _of_the_storage(storage)):
        findings.append(finding)
        if not as_json:
            verdict = Text(f"{finding.verdict:<8}", STYLES[finding.verdict])
            out.print(Text.assemble(verdict, f"{finding.check:<12}", finding.says))
    has_problem = any(finding.verdict is Severity.PROBLEM for finding in findings)
    if as_json:
        options.print_json({"ok": not has_problem, "checks": [asdict(finding) for finding in findings]})
    if has_problem:
        raise typer.Exit(FAILED)


def _of_the_storage(option: str | None) -> Iterator[CheckResult]:
    from mnist_tune.serve.address import is_head
    from mnist_tune.storage.named import named_storage

    if is_head(named_storage(option)[0]):
        from mnist_tune.serve.head_checks import head_checks

        return head_checks(*named_storage(option))
    from mnist_tune.doctor.database import storage_checks

    return storage_checks(option)
