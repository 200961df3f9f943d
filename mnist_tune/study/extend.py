"""Lets a study grow: its spec, its new cells, and what the old ones tell of it, in one transaction."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from sqlalchemy import orm

from mnist_tune.errors import Damaged, MnistTuneError, UserError
from mnist_tune.queue.cells import lock_study
from mnist_tune.queue.tickets import fill_tickets
from mnist_tune.queue.trial_rows import insert_waiting
from mnist_tune.records.distributions import distributions, waiting_cells
from mnist_tune.records.stored_spec import spec_text, stored_spec
from mnist_tune.records.trials import read_trials
from mnist_tune.spec.growth import Growth, Step, grown, with_last_revision
from mnist_tune.spec.replicates import bytes_of_race
from mnist_tune.spec.revisions import Point, Revision
from mnist_tune.spec.study_spec import Spec
from mnist_tune.spec.widening import widening
from mnist_tune.storage.keys import MOST_BYTES, SPEC
from mnist_tune.storage.statements import put_in_study
from mnist_tune.study.more_epochs import Ended, go_on, to_go_on
from mnist_tune.study.old_trials import tell_of_values, tell_old_trials
from mnist_tune.study.open_study import OpenStudy

BYTES_OF_A_GROWTH = 200
"""About how much longer the smallest growth makes the spec, which says when and by what it came."""


class Extension(NamedTuple):
    """What a study was given, or would be."""

    spec: Spec
    """The spec with it."""
    revision: Revision | None
    """None: all that was wanted is there."""
    known: list[Point]
    """Those points that were cells already."""


def extend_study(
    study: OpenStudy, wanted: Growth | Spec, revision: str, *, dry_run: bool = False
) -> Extension:
    """Give a study more cells, also while workers are on it.

    `revision` is an id that the caller has made: a second call with it changes nothing, and tells what the
    first has done. With `dry_run` nothing is changed. A spec wants what the study lacks of it, nothing if it
    differs in more than that; its points are added even if a sampler has drawn the same.

    Raises:
        UserError: the search cannot grow in this way, or the study has been deleted.
        MnistTuneError: its spec is damaged.
    """
    with study.storage.transaction() as session:
        if not dry_run:
            lock_study(session, study.study_id)
        before = stored_in(session, study)
        done = next((one for one in before.search.revisions or () if one.id == revision), None)
        if done is not None:
            return Extension(before, done, [])
        if isinstance(wanted, Spec):
            # What the study lacks is known only here: another process may have let it grow just now.
            growth, source, drawn = widening(before, wanted) or Growth(), "create-study", []
        else:
            growth, source = wanted, wanted.command
            drawn = _drawn(session, study, before) if growth.points else []
        step = Step.now(source, revision)
        spec, added, known = grown(before, growth, step, drawn)
        needed = len(json.dumps(spec.stored())) + _bytes_to_come(spec)
        if needed > MOST_BYTES:
            raise UserError(
                f"{step.source}: the spec would have {needed:,} bytes, more than {MOST_BYTES:,}: "
                f"{_instead(before)}"
            )
        going_on: list[Ended] = []
        if added is not None and added.epochs:
            going_on = to_go_on(session, study.study_id, before, held=not dry_run)
            added = added.model_copy(update={"going_on": len(going_on)})
            spec = with_last_revision(spec, added)
        if added is not None and not dry_run:
            store_growth(session, study.study_id, before, spec, added)
            go_on(session, study.study_id, spec, going_on)
    return Extension(spec, added, known)


def store_growth(session: orm.Session, study_id: int, before: Spec, spec: Spec, added: Revision) -> None:
    """Store the wider spec of a locked study, with its new cells and what the old ones tell of it."""
    put_in_study(session, study_id, {SPEC: spec.stored()})
    if spec.n_cells == before.n_cells:  # a race has ended, or the cells are given more epochs
        return
    cells = waiting_cells(spec)
    if spec.search.grid is not None:
        tell_old_trials(session, study_id, before, spec, cells)
    else:
        tell_of_values(session, study_id, before, spec)
    insert_waiting(session, study_id, cells[before.n_cells + before.search.n_closed :])
    if spec.search.grid is None and added.points:
        points = (spec.search.enqueue or [])[-added.points :]
        fill_tickets(session, study_id, distributions(spec), points)


def stored_in(session: orm.Session, study: OpenStudy) -> Spec:
    """The spec of a study as it is in this transaction.

    Raises:
        UserError: the study has been deleted.
        MnistTuneError: the spec is damaged.
    """
    text = spec_text(session, study.study_id)
    if text is None:
        raise UserError(f"study '{study.name}' has been deleted meanwhile")
    try:
        # Stock Optuna may have copied it under another name, which then counts.
        return stored_spec(text).model_copy(update={"study": study.spec.study})
    except Damaged as problem:
        raise MnistTuneError(
            f"the spec of study '{study.name}' has been damaged meanwhile: {problem}"
        ) from None


def _drawn(session: orm.Session, study: OpenStudy, spec: Spec) -> list[dict[str, Any]]:
    """The parameters of the trials of a sampled search. Those of a grid follow from its spec."""
    if spec.search.grid is not None:
        return []
    return [trial.parameters for trial in read_trials(session, study.study_id, spec).trials]


def _bytes_to_come(spec: Spec) -> int:
    """How much a race may add to the spec that has judged before: what joins now runs through all rounds.

    A race that has judged nothing yet was reckoned with when the spec was checked.
    """
    if spec.replicates is None or not any(one.race for one in spec.search.revisions or ()):
        return 0
    return bytes_of_race(spec.replicates, spec.search)


def _instead(spec: Spec) -> str:
    """What to do where a spec would have too many bytes; `spec` is the study's as it is."""
    another = f"make another one, which takes over its results with --reuse {spec.study.name}"
    if len(json.dumps(spec.stored())) + _bytes_to_come(spec) + BYTES_OF_A_GROWTH > MOST_BYTES:
        return f"this study can grow no further; {another}"
    return f"add fewer points or values to this study, or {another}"
