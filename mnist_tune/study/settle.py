"""Lets a study settle: judges its race over seeds when all cells have ended, and adds the next round.

What is judged, what is stored of it and the new cells are one transaction on a locked study. So any number of
workers may try at once, and whoever is killed leaves a round whole or not there.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from sqlalchemy import orm

from mnist_tune import __version__
from mnist_tune.queue.cells import have_ended, lock_study
from mnist_tune.records.trials import read_trials
from mnist_tune.search.ended_cells import ended_cells
from mnist_tune.search.race import level_of
from mnist_tune.search.settling import Race
from mnist_tune.spec.growth import Growth, Step, grown
from mnist_tune.spec.replicates import n_configurations
from mnist_tune.study.extend import store_growth, stored_in
from mnist_tune.study.open_study import OpenStudy


def settle(study: OpenStudy) -> bool:
    """Judge the race of a study whose cells have all ended; returns whether there are cells to claim again.

    These may have been added by another meanwhile. False: the race is over, or the study has none.

    Raises:
        UserError: the study has been deleted.
        MnistTuneError: its spec is damaged.
    """
    if (rules := study.spec.replicates) is None:
        return False
    with study.storage.transaction() as session:
        if not have_ended(session, study.study_id):
            return True
        spec = stored_in(session, study)
    if (revisions := spec.search.revisions) and revisions[-1].race is not None and revisions[-1].race.ending:
        return False
    # Loads scipy and computes the levels of all rounds, for which nobody need wait.
    level_of(rules, rules.start, n_configurations(spec.search, rules) - 1)
    with study.storage.transaction() as session:
        lock_study(session, study.study_id)
        while have_ended(session, study.study_id):
            race = _race(session, study)
            found = race.next_round()
            if found is None:
                return False
            now = datetime.now(UTC).isoformat(timespec="seconds")
            step = Step(secrets.token_hex(16), now, __version__, "the race", found.judged)
            spec, added, _ = grown(race.spec, Growth(points=found.points), step)
            assert added is not None
            store_growth(session, study.study_id, race.spec, spec, added)
    return True


def _race(session: orm.Session, study: OpenStudy) -> Race:
    spec = stored_in(session, study)
    return Race(spec, ended_cells(spec, read_trials(session, study.study_id, spec).trials))
