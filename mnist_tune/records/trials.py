"""The trials of a study as typed values; damage to one hides no other."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import orm

from mnist_tune.errors import Damaged
from mnist_tune.records.columns import TrialColumns, read_columns
from mnist_tune.records.distributions import distributions
from mnist_tune.records.epochs import copied_reports
from mnist_tune.records.imported import ImportedTrial
from mnist_tune.records.stored_trial import StoredTrial
from mnist_tune.records.trained import trained_in
from mnist_tune.records.trial_reader import LONGEST_PROBLEM, SYSTEM, USER, TrialReader
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage import keys
from mnist_tune.text.wording import listed, shortened

MOST_NAMED = 5
"""How many trials without a cell are named in a message."""


@dataclass(frozen=True)
class StoredTrials:
    """The study's attempts by number; of the attempts at a cell, only the last may have succeeded."""

    trials: list[StoredTrial]
    lost: list[str]
    """Why a trial was left out whose number, state or cell cannot be read; a line for each."""
    others: list[str]
    """Trials of other programs that do not count, and why; a line for each."""
    deleted: list[int]
    """The cells of which no trial is left."""
    imported: list[ImportedTrial] = field(default_factory=list)
    """Results that were obtained elsewhere, by number."""
    lost_imports: list[str] = field(default_factory=list)
    """Why such a result was left out that cannot be read; a line for each."""


def read_trials(session: orm.Session, study_id: int, spec: Spec, *, with_logs: bool = False) -> StoredTrials:
    """Read all attempts at the study's cells; `with_logs` also reads workers' logs, which may be long."""
    axes = distributions(spec)
    system = (*SYSTEM, keys.CLOSED, keys.IMPORTED, *([keys.LOG] if with_logs else []))
    reader = TrialReader(spec, axes, trained_in(session, study_id, spec))
    found, lost, others, of_no_cell = [], [], [], []
    last: dict[int, StoredTrial] = {}
    imported: list[ImportedTrial] = []
    lost_imports: list[str] = []
    all_columns = read_columns(session, study_id, axes, USER, system)
    reports = copied_reports(session, study_id, all_columns)
    for columns in all_columns:
        if keys.CLOSED in columns.system:
            continue
        if keys.CELL not in columns.system and keys.IMPORTED in columns.system:
            try:
                imported.append(reader.imported(columns))
            except Damaged as problem:
                said = f"{name_of(columns)}, which was imported: {problem}"
                lost_imports.append(shortened(said, LONGEST_PROBLEM))
            continue
        if keys.CELL not in columns.system:  # stock Optuna made it
            of_no_cell.append(name_of(columns))
            continue
        try:
            trial = reader.read(columns, reports.get(columns.trial_id, ()))
        except Damaged as problem:
            lost.append(shortened(f"{name_of(columns)}: {problem}", LONGEST_PROBLEM))
            continue
        before = last.get(trial.cell)
        if before is not None and not before.has_failed:
            others.append(f"{name_of(columns)} does not count: trial {before.number} is for the same cell")
            continue
        last[trial.cell] = trial
        found.append(trial)
    if of_no_cell:
        few = listed(of_no_cell, MOST_NAMED)
        others.append(f"made by another program, of no cell, run by no worker and in no ranking: {few}")
    # A trial that cannot be read may be for any cell, so no cell is known to have none.
    deleted = [] if lost else [cell for cell in spec.search.cells if cell not in last]
    return StoredTrials(found, lost, others, deleted, imported, lost_imports)


def name_of(row: TrialColumns) -> str:
    """The name of a trial in a message."""
    return f"trial {row.number}" if isinstance(row.number, int) else f"the trial with the id {row.trial_id}"
