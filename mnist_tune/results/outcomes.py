"""What has come of studies until now, read trial by trial as they end: the best, the holes, the end.

`read_results` reads a whole study, with all of its epochs. Who only waits for news reads each ended trial
once here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from optuna.trial import TrialState
from sqlalchemy import BigInteger, cast, func, orm, select

from mnist_tune.contract.study import Control
from mnist_tune.errors import Damaged, UserError
from mnist_tune.queue.cells import have_ended
from mnist_tune.queue.control import control_in, why_stopped_in
from mnist_tune.records.columns import raw, read_columns
from mnist_tune.records.distributions import distributions
from mnist_tune.records.stored_trial import StoredTrial
from mnist_tune.records.trained import trained_in
from mnist_tune.records.trial_reader import SYSTEM, TrialReader
from mnist_tune.results.candidates import Candidate, seeds_wanted
from mnist_tune.results.race_standing import RaceStanding
from mnist_tune.results.ranking import as_judged, in_order
from mnist_tune.results.reading import trial_result
from mnist_tune.results.trial_result import State, TrialResult
from mnist_tune.spec.stopped import Stopped
from mnist_tune.storage.engine import snapshot
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.storage.keys import CELL, CONTROL, FAILURE, HISTORY, SPEC, UID
from mnist_tune.storage.optuna_internals import studies, study_attributes, system_attributes, trials
from mnist_tune.storage.statements import UNFINISHED
from mnist_tune.study.open_study import OpenStudy

ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
USER = (FAILURE, HISTORY)
"""The user attributes that say whether a trial counts."""
AT_ONCE = 500
"""How many trials one statement names."""


@dataclass(frozen=True)
class Outcome:
    """What has come of a study until now."""

    is_finished: bool
    """Whether every cell has ended, with a result or as failed for good, and so has the study's race."""
    finished: list[TrialResult]
    """The trials that have completed their cells, or were pruned."""
    best: Candidate | None
    """The first configuration of the ranking."""
    holes: list[TrialResult]
    """The last trial of each cell that nobody will try again."""
    last: TrialResult | None
    """The trial with the greatest number of those that have ended."""
    ended: datetime | None
    """When the last one ended."""
    stopped: Stopped | None
    """Why its [stop] has stopped the study; None if it has not, or if the reason cannot be read."""
    may_change_unseen: bool
    """Whether it may change although `Glance` does not."""


class Glance(NamedTuple):
    """A study as one short statement shows it.

    Another `mark` means that trials have ended, or that somebody has paused it, stopped it or gone on.
    """

    name: Any
    mark: Hashable


def glances(storage: GuardedStorage) -> dict[int, Glance]:
    """All studies that this program made, by id, oldest first."""
    (state,) = raw(trials, "state")
    per_state = select(
        trials.c.study_id, state, func.count(), func.sum(cast(trials.c.trial_id, BigInteger))
    ).group_by(trials.c.study_id, state)
    uids, controls = study_attributes.alias("uids"), study_attributes.alias("controls")
    is_uid = (uids.c.study_id == studies.c.study_id) & (uids.c.key == UID)
    is_control = (controls.c.study_id == studies.c.study_id) & (controls.c.key == CONTROL)
    ours = (
        select(studies.c.study_id, studies.c.study_name, uids.c.value_json, controls.c.value_json)
        .join(study_attributes, study_attributes.c.study_id == studies.c.study_id)
        .outerjoin(uids, is_uid)  # SQLite gives the ids of deleted studies and trials to new ones
        .outerjoin(controls, is_control)
        .where(study_attributes.c.key == SPEC)
        .order_by(studies.c.study_id)
    )
    unfinished = {each.name for each in UNFINISHED}
    with storage.transaction() as session:
        named = list(session.execute(ours))
        marks: dict[int, list[Any]] = defaultdict(list)
        waits: dict[int, int] = defaultdict(int)
        for study_id, of_state, count, ids in session.execute(per_state):
            if of_state in unfinished:  # a claim is no news
                waits[study_id] += count
            else:
                marks[study_id].append((of_state, count, ids))
    return {
        study_id: Glance(
            name, (name, uid, control, waits[study_id], tuple(sorted(marks[study_id], key=repr)))
        )
        for study_id, name, uid, control in named
    }


class Outcomes:
    """Reads what has come of one study, again and again; each trial only once after its end."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, StoredTrial | None]] = {}
        """The state and content of each ended trial by id; no content if it is of no cell, or unreadable."""

    def now(self, study: OpenStudy) -> Outcome:
        """What has come of the study until now. It must be the same study each time.

        Raises:
            UserError: the study has been deleted.
        """
        with study.storage.transaction() as session:
            snapshot(session.connection())
            self._read_new(session, study)
            has_ended = have_ended(session, study.study_id)
            finished, failed = self._by_cell(study)
            goes_on = _unfinished_cells(session, study.study_id, [each.cell for each in failed])
            is_stopped = control_in(session, study.study_id) is Control.STOPPED
            stopped = why_stopped_in(session, study.study_id) if is_stopped else None
        holes = [each for each in failed if each.cell not in goes_on and not each.comes_back]
        spec, sound = study.spec, [each for each in finished if each.is_sound]
        ranked = in_order(sound, spec.training.seed, spec.description.sign, seeds_wanted(spec))
        ended = [*finished, *failed]
        is_to_be_judged = False
        if spec.replicates is not None:
            race = RaceStanding(spec, ended, is_open=not has_ended)
            ranked = [place.candidate for place in as_judged(ranked, race)]
            is_to_be_judged = has_ended and not race.is_over
        return Outcome(
            is_finished=has_ended and not is_to_be_judged,
            finished=sound,
            best=ranked[0] if ranked else None,
            holes=holes,
            last=max(ended, key=lambda each: each.number, default=None),
            ended=max((each.ended for each in ended if each.ended is not None), default=None),
            stopped=stopped,
            may_change_unseen=is_to_be_judged or any(each.comes_back for each in failed),
        )

    def _read_new(self, session: orm.Session, study: OpenStudy) -> None:
        study_id, axes = study.study_id, distributions(study.spec)
        there = select(studies.c.study_id).where(studies.c.study_id == study_id)
        if session.execute(there).first() is None:
            raise UserError(f"study '{study.name}' has been deleted meanwhile")
        in_study = trials.c.study_id == study_id, trials.c.state.in_(ENDED)
        rows = session.execute(select(*raw(trials, "trial_id", "state")).where(*in_study))
        now = {row.trial_id: row.state for row in rows}
        self._known = {
            trial_id: (state, trial)
            for trial_id, (state, trial) in self._known.items()
            # The reason of a trial without one may be stored later.
            if now.get(trial_id) == state and (trial is None or trial.is_explained)
        }
        reader = TrialReader(study.spec, axes, trained_in(session, study_id, study.spec))
        new = [trial_id for trial_id in now if trial_id not in self._known]
        for some in _in_parts(new):
            for columns in read_columns(session, study_id, axes, USER, SYSTEM, only=some, with_epochs=False):
                trial = None
                if CELL in columns.system:
                    with suppress(Damaged):  # `status` names it
                        trial = reader.read(columns, ())
                self._known[columns.trial_id] = columns.state, trial

    def _by_cell(self, study: OpenStudy) -> tuple[list[TrialResult], list[TrialResult]]:
        """The trial that has finished each cell, and the last one of each cell that no trial has."""
        objective, closed = study.spec.description.objective, study.spec.search.closed_cells
        of_cells: dict[int, list[StoredTrial]] = defaultdict(list)
        for _, trial in self._known.values():
            if trial is not None and trial.cell not in closed:
                of_cells[trial.cell].append(trial)
        finished: list[TrialResult] = []
        failed: list[TrialResult] = []
        for of_cell in of_cells.values():
            of_cell.sort(key=lambda trial: trial.number)
            tries = next((n for n, trial in enumerate(of_cell, 1) if not trial.has_failed), len(of_cell))
            result = trial_result(of_cell[tries - 1], tries, False, objective)
            (failed if result.state is State.FAILED else finished).append(result)
        return finished, failed


def _unfinished_cells(session: orm.Session, study_id: int, cells: Sequence[int]) -> set[int]:
    """Those of the cells for which a trial waits or runs."""
    found = set()
    of_cell = (
        select(system_attributes.c.value_json)
        .join(trials, trials.c.trial_id == system_attributes.c.trial_id)
        .where(trials.c.study_id == study_id, trials.c.state.in_(UNFINISHED), system_attributes.c.key == CELL)
    )
    for some in _in_parts(cells):
        texts = {str(cell): cell for cell in some}
        for text in session.execute(of_cell.where(system_attributes.c.value_json.in_(texts))).scalars():
            found.add(texts[text])
    return found


def _in_parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for begin in range(0, len(ids), AT_ONCE):
        yield ids[begin : begin + AT_ONCE]
