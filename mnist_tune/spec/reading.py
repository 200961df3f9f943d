"""Reads a spec from a file, from a study that comes with mnist-tune, or from tables in Python."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from shlex import quote
from typing import Any

from mnist_tune.errors import UserError
from mnist_tune.jobs.command.permitted import CommandConsent, PermittedCommand, digest
from mnist_tune.jobs.command.table import CommandTable, job_table
from mnist_tune.jobs.describing import described
from mnist_tune.jobs.reference import BUILT_IN, JobFile, job_file, job_named
from mnist_tune.spec.confirmations import described_for
from mnist_tune.spec.documents import content_of, short_value, validate
from mnist_tune.spec.parsing import plain
from mnist_tune.spec.plain_data import NotPlainError
from mnist_tune.spec.preloading import check_modules
from mnist_tune.spec.sampler_options import check_spelling
from mnist_tune.spec.shipped import find_spec
from mnist_tune.spec.study_spec import Spec, spec_class

SPEC_SUFFIXES = (".toml", ".json", ".yaml", ".yml")
Named = str | os.PathLike[str] | Mapping[str, Any]
"""A TOML file, the name of a study that comes with mnist-tune, or the tables of such a file."""


@dataclass(frozen=True)
class GivenSpec:
    """A spec as its author has given it."""

    spec: Spec
    remarks: list[str] = field(default_factory=list)
    """Settings that, as the job says, have no effect; a line each."""
    job: JobFile | CommandConsent | None = None
    """The job's file or command, if it is not installed. Who names the spec vouches for it."""

    @property
    def worker_options(self) -> str:
        """What else to type after `mnist-tune worker STUDY`, so that a worker may run the job."""
        if self.job is None:
            return ""
        if isinstance(self.job, CommandConsent):
            return f" --allow-command {quote(shown_path(self.job.folder))}"
        return f" --job {quote(f'{shown_path(self.job.path)}:{self.job.function}')}"


def shown_path(path: Path) -> str:
    """A path as short as it can be typed in the current folder."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):  # it is elsewhere, or the current folder is gone
        return str(path)


def read_spec(named: Named, name: str | None = None) -> GivenSpec:
    """The spec that `named` stands for; `name` gives it another study name.

    Raises:
        UserError: one line that names the file, the key and the remedy.
    """
    if isinstance(named, Mapping):
        try:
            given = _given(plain(named), "spec", Path())
        except NotPlainError as error:
            raise UserError(f"spec: {error}") from None
    elif isinstance(named, str | os.PathLike):
        path = find_spec(Path(named))
        given = _given(content_of(path), str(path), path.parent)
    else:
        raise UserError(
            f"spec: {short_value(named)} is none; name a file or a study that comes with mnist-tune, "
            "or write the tables of such a file as a dict"
        )
    return replace(given, spec=given.spec.named(name))


@dataclass(frozen=True)
class ChosenJob:
    """A job that a person has named, and the fields that are set with it."""

    job: str | JobFile | PermittedCommand
    training: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)


def chosen_job(named: str) -> ChosenJob:
    """The job that is meant by FILE.py:FUNCTION, by an installed job's name, or by a spec in a file.

    Raises:
        UserError: there is no such file or job, or the spec is wrong.
    """
    if Path(named).suffix.lower() not in SPEC_SUFFIXES:
        return ChosenJob(job_named(named))
    given = read_spec(named)
    table, at_hand = given.spec.job, given.job
    job: str | JobFile | PermittedCommand = table.label
    if isinstance(table, CommandTable) and isinstance(at_hand, CommandConsent):
        job = PermittedCommand(table, at_hand.folder)
    elif isinstance(at_hand, JobFile):
        job = at_hand
    return ChosenJob(job, given.spec.plan.training, given.spec.plan.data)


def load_spec(path: Path) -> Spec:
    """The spec in a TOML file.

    Raises:
        UserError: one line that names the file, the key and the remedy.
    """
    return _given(content_of(path), str(path), path.parent).spec


def _given(content: Any, source: str, folder: Path) -> GivenSpec:
    table = content.get("job", {"name": BUILT_IN}) if isinstance(content, dict) else {"name": BUILT_IN}
    reference = validate(job_table(table), table, f"{source}: job")
    if reference.description is not None:
        raise UserError(f"{source}: job.description: is made when a study is created; remove it")
    if isinstance(content, dict) and isinstance(search := content.get("search"), dict):
        if "revisions" in search:
            raise UserError(f"{source}: search.revisions: are written when a study is extended; remove them")
        check_spelling(search.get("sampler"), source)
    content = _with_defaults_of_today(content)
    check_modules(reference.preload, folder, source)
    at_hand: JobFile | CommandConsent | None = None
    named: str | JobFile | PermittedCommand = reference.label
    if isinstance(reference, CommandTable):
        at_hand = CommandConsent(folder.absolute(), digest(reference))
        named = PermittedCommand(reference, at_hand.folder)
    elif reference.file is not None:
        named = at_hand = job_file(reference.file, folder)
    with described(named) as job:
        described_as = described_for(content, job.description, f"{source}: confirm")
        spec = validate(spec_class(described_as), content, source)
        remarks = job.remarks(spec.plan)
    mistakes = [f"{source}: {remark.key}: {remark.text}" for remark in remarks if remark.is_mistake]
    if mistakes:
        raise UserError(mistakes[0] + (f" (and {len(mistakes) - 1} more)" if len(mistakes) > 1 else ""))
    return GivenSpec(spec, [f"{remark.key}: {remark.text}" for remark in remarks], at_hand)


def _with_defaults_of_today(content: Any) -> Any:
    """The content with what an author leaves out, and what stored studies of older versions never had."""
    if not isinstance(content, dict) or not isinstance(search := content.get("search"), dict):
        return content
    if search.get("sampler", "grid") == "grid" or "duplicates" in search:
        return content
    return {**content, "search": {**search, "duplicates": "redraw"}}
