"""What people ask of a storage, and what they are told: the calls, their answers, and how they fail.

The commands and the functions in Python know a storage by these calls alone, wherever it is. Arguments and
answers are plain values, which `wire` turns into JSON and back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from mnist_tune.contract.study import Control
from mnist_tune.errors import UserError
from mnist_tune.spec.growth import Growth
from mnist_tune.spec.imports import Import
from mnist_tune.spec.revisions import Revision
from mnist_tune.spec.stored import SpecOfStudy, StoredSpec

if TYPE_CHECKING:  # these load Optuna, which a caller elsewhere need not wait for
    from mnist_tune.results.study_results import Results
    from mnist_tune.study.copy import Copied
    from mnist_tune.verification import Verification


@dataclass(frozen=True)
class Overview:
    """A study among the others of its storage."""

    name: str
    standing: str
    """How far it is, or why it cannot be read, in one line."""
    cells: dict[str, int] | None
    """How many cells are in each state; None if the study cannot be read."""
    best: dict[str, Any] | None
    """The first configuration of the ranking, as plain data."""
    problems: list[str]
    """What is stored of the study and cannot be read, one line each."""

    def as_json(self) -> dict[str, Any]:
        """The study as plain data for JSON."""
        return {"study": self.name, "cells": self.cells, "best": self.best, "problems": self.problems}


@dataclass(frozen=True)
class Created:
    """A study that was made, or that was there already with the same spec."""

    spec: SpecOfStudy
    """The study's own spec, whose settings may differ from those that were given."""
    is_new: bool
    n_reused: int
    """How many cells of a new study have taken over results of another study."""
    notes: list[str]
    """For the spec's author: settings without effect, and settings that the study keeps."""
    added: Revision | None = None
    """What a study that was there was given in addition, since the spec has more."""


@dataclass(frozen=True)
class Extended:
    """What a study was given in addition, or would be."""

    spec: SpecOfStudy
    """The study's spec with it."""
    added: Revision | None
    """None: all that was wanted is there."""
    known: list[dict[str, Any]]
    """The points that were cells already."""
    control: Control = Control.RUNNING
    """Whether its cells may be claimed now."""

    def as_json(self, name: str) -> dict[str, Any]:
        """What the study of this name was given, as plain data for JSON."""
        added = None if self.added is None else self.added.model_dump(mode="json")
        return {"study": name, "added": added, "known": self.known, "cells": self.spec.n_cells}


@dataclass(frozen=True)
class Imported:
    """How many results that were obtained elsewhere a study was given, or would be."""

    added: int
    known: int
    """How many it had already."""

    def as_json(self, left_out: int) -> dict[str, Any]:
        """The numbers as plain data for JSON, with how many trials were not taken."""
        return {"imported": self.added, "known": self.known, "left_out": left_out}


@dataclass(frozen=True)
class Retried:
    """Which cells wait again that had failed for good, or that somebody had deleted."""

    numbers: list[int]
    """The numbers of the last trials of the cells that were put back."""
    left: dict[int, str]
    """Why another cell that has failed is not put back, by the number of its last trial."""
    made_anew: list[int]
    """The cells of which somebody had deleted every trial."""


@dataclass(frozen=True)
class Missing:
    """What a study lacks of what was asked for: how many of each."""

    cells: int
    """Those that failed for good."""
    weights: int
    """Those of complete trials that could not be written."""


@dataclass(frozen=True)
class Deletion:
    """What was deleted with a study, and what could not be."""

    files: int
    problems: list[str]


class StudiesForPeople(Protocol):
    """A storage as people see it: the studies in it, by their names.

    A call that names a study raises UserError if there is none of this name, or if another program made it.
    Any call may raise StorageAway or StorageFailed, in one line. After StorageAway it may be repeated, even
    if only its answer was lost: it then does what is still to be done.
    """

    @property
    def where(self) -> str:
        """The storage's URL as it may be printed, without a password."""

    def study_names(self) -> list[str]:
        """The names of the studies, oldest first."""

    def overview(self) -> list[Overview]:
        """All studies, oldest first; one that cannot be read hides none of the others."""

    def create(
        self,
        spec: StoredSpec,
        remarks: Sequence[str] = (),
        reuse: str | None = None,
        extend: bool = False,
    ) -> Created:
        """Make a study of this spec with all its cells, unless it is there.

        `remarks` are the job's about the spec: they stand among the notes. A new study takes over the
        results that the study `reuse` has for its cells. With `extend`, a study that has less than the spec
        is given what it lacks. Raises UserError if another study has this name, or if `reuse` has no result
        that can be taken over.
        """

    def extend(
        self, name: str, wanted: Growth, revision: str, top: int | None = None, dry_run: bool = False
    ) -> Extended:
        """Give a study more cells; with `dry_run` only say which.

        `revision` is an id, of 32 hexadecimal digits, that the caller has made: a second call with it adds
        nothing. With `top`, only so many configurations, the best ones, are given the seeds. Raises
        UserError if the search cannot grow in this way.
        """

    def import_trials(self, name: str, wanted: Import, import_id: str, dry_run: bool = False) -> Imported:
        """Give a study results that were obtained elsewhere; with `dry_run` only say how many.

        `import_id` is an id, of 32 hexadecimal digits, that the caller has made: a second call with it adds
        nothing. Raises UserError, and adds none, if no trial of the study could have had one of them.
        """

    def find(self, name: str) -> None:
        """Check that there is a study that can be deleted, even if its spec cannot be read."""

    def spec(self, name: str) -> SpecOfStudy:
        """The study's spec. Raises MnistTuneError if it is damaged, as do all calls below but `delete`."""

    def uid(self, name: str) -> str:
        """The study's uid, which no other study has, not even a copy."""

    def missing(self, name: str) -> Missing:
        """How much the study lacks as it is now."""

    def results(self, name: str, *, with_logs: bool = False) -> Results:
        """The study as it is now, `with_logs` with the workers' logs too as far as the storage has them."""

    def kept_file(self, artifact_id: str) -> BinaryIO:
        """Open a file that was kept for a trial, by the id that the trial's `artifacts` have for it.

        Raises FileElsewhere if it is not there, and FileUnavailable if it cannot be read.
        """

    def set_control(self, name: str, control: Control) -> None:
        """Let workers claim cells, wait, or leave. Raises UserError for what only [stop] does."""

    def drain(self, name: str, *, worker: str | None = None, host: str | None = None) -> list[str]:
        """Ask one worker, or all of a host, to finish their epoch and leave; returns their names.

        Raises UserError if there is no such worker.
        """

    def retry(self, name: str, trial: int | None = None) -> Retried:
        """Put the cells back that failed for good, or only that of this trial.

        Raises UserError if the trial is not the last attempt at a cell that failed for good.
        """

    def change_settings(self, name: str, changes: Mapping[str, Any]) -> dict[str, bool | int | float | None]:
        """Change fields of the tables of settings, by dotted key; returns the values that they have.

        Raises UserError for a value that its field does not take, and for a lease that running workers
        would not survive.
        """

    def verify(self, name: str) -> Verification:
        """Check the study and its files against every promise. Changes nothing."""

    def copy_out(self, name: str) -> BinaryIO:
        """A copy of the study with its files, as it is now, as an archive for `copy_in`.

        Raises MnistTuneError if a file or a value of it cannot be copied.
        """

    def copy_in(self, archive: BinaryIO, name: str | None = None) -> Copied:
        """Make a study of an archive, whole or not at all, under its own or another name.

        Raises UserError if a study has the name, or the name is not allowed, and MnistTuneError if it is no
        such archive.
        """

    def delete(self, name: str, *, files: bool = False) -> Deletion:
        """Delete a study with all its trials and, if so asked, with the files that were kept for it.

        Raises UserError, and deletes nothing, if it is not known whose the files in its folders are.
        """


def results_again(service: StudiesForPeople, name: str) -> Results:
    """The present results of a study that was there before.

    Raises:
        UserError: it has been deleted meanwhile.
    """
    try:
        return service.results(name)
    except UserError:
        if name in service.study_names():
            raise
        raise UserError(f"study '{name}' has been deleted meanwhile") from None
