"""The modules that a spec has imported once for all training processes of `run`: `preload` in [job].

Only the spec that a person names is asked. What a storage holds names no module that is imported.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mnist_tune.errors import UserError


def modules_to_preload(named: Path) -> list[str]:
    """The modules that a spec names; none if it cannot be read, which whoever reads all of it will say."""
    try:
        if b"preload" not in named.read_bytes():
            return []  # told without importing what checks a spec
    except OSError:
        return []
    from mnist_tune.spec.documents import content_of

    try:
        return checked_modules(content_of(named), named.parent, str(named))
    except UserError:
        return []


def checked_modules(content: Any, folder: Path, source: str) -> list[str]:
    """The modules that a document names, whose spec is in `folder`.

    Raises:
        UserError: a module is not installed, or is a file beside the spec, which only the job itself imports.
    """
    from mnist_tune.jobs.command.table import job_table
    from mnist_tune.jobs.loading import can_be_imported
    from mnist_tune.spec.documents import validate

    table = content.get("job") if isinstance(content, dict) else None
    if table is None:
        return []
    modules = validate(job_table(table), table, f"{source}: job").preload
    for module in modules:
        package = module.partition(".")[0]
        if (folder / package).is_dir() or (folder / f"{package}.py").is_file():
            raise UserError(f"{source}: job.preload: {module} is beside the spec: only its job imports it")
        if not can_be_imported(package):
            raise UserError(f"{source}: job.preload: there is no module {package} here; install or remove it")
    return modules
