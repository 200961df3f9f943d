"""The modules that a spec has imported once for all training processes of `run`: `preload` in [job].

Only the spec that a person names is asked. What a storage holds names no module that is imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mnist_tune.errors import UserError


def modules_to_preload(named: Path) -> list[str]:
    """The modules that a spec names; none if it cannot be read, which whoever reads all of it will say."""
    try:
        if b"preload" not in named.read_bytes():
            return []  # told without importing what checks a spec
    except OSError:
        return []
    from mnist_tune.jobs.command.table import job_table
    from mnist_tune.spec.documents import content_of, validate

    try:
        content = content_of(named)
        table = content.get("job") if isinstance(content, dict) else None
        modules = [] if table is None else validate(job_table(table), table, str(named)).preload
        check_modules(modules, named.parent, str(named))
    except UserError:
        return []
    return modules


def check_modules(modules: Sequence[str], folder: Path, source: str) -> None:
    """Check that the modules which a spec in `folder` names can be imported for its job.

    Raises:
        UserError: a module is not installed, or is a file beside the spec, which only the job itself imports.
    """
    from mnist_tune.jobs.loading import can_be_imported

    for module in modules:
        package = module.partition(".")[0]
        if (folder / package).is_dir() or (folder / f"{package}.py").is_file():
            raise UserError(f"{source}: job.preload: {module} is beside the spec: only its job imports it")
        if not can_be_imported(package):
            raise UserError(f"{source}: job.preload: there is no module {package} here; install or remove it")
