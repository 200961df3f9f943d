"""Lets a study settle: judges its race over seeds when all cells have ended, and adds the next round.

What is judged, what is stored of it and the new cells are one transaction on a locked study. So any number of
workers may try at once, and whoever is killed leaves a round whole or not there.

Before it, the levels of all rounds must be known. Computing them takes 0.1 s for each seed that a
configuration may get, for which nobody holds a transaction.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import Enum, auto

from sqlalchemy import orm

from mnist_tune.queue.cells import have_ended, lock_study
from mnist_tune.records.trials import read_trials
from mnist_tune.search.ended_cells import ended_cells
from mnist_tune.search.race import level_of
from mnist_tune.search.settling import Race
from mnist_tune.spec.growth import Growth, Step, grown
from mnist_tune.spec.replicates import n_configurations
from mnist_tune.spec.sections import Replicates
from mnist_tune.study.extend import store_growth, stored_in
from mnist_tune.study.open_study import OpenStudy

KnowsLevels = Callable[[Replicates, int], bool]
"""Whether the levels of a race by these rules, in which each has so many rivals, are known now."""


class Settling(Enum):
    """What follows where all cells of a study have ended."""

    CELLS = auto()
    """There are cells to claim again; another may have added them."""
    JUDGEMENT = auto()
    """A judgement is due, and its levels will be known soon."""
    NOTHING = auto()
    """The race is over, or the study has none."""


def known_now(rules: Replicates, n_rivals: int) -> bool:
    """Computes the levels of a race at once, unless they are known."""
    level_of(rules, rules.start, n_rivals)
    return True


class Beside:
    """Computes levels in threads of their own, for a process that has others to answer meanwhile."""

    def __init__(self) -> None:
        self._threads: dict[tuple[str, int], threading.Thread] = {}

    def __call__(self, rules: Replicates, n_rivals: int) -> bool:
        """Whether the levels of a race are known; if not, they will be soon."""
        key = rules.model_dump_json(), n_rivals
        thread = self._threads.get(key)
        if thread is None:
            thread = threading.Thread(target=known_now, args=(rules, n_rivals), name="levels", daemon=True)
            self._threads[key] = thread
            thread.start()
        return not thread.is_alive()


def foresee(study: OpenStudy, are_known: KnowsLevels) -> None:
    """Have the levels computed that the study's race, if it has one, will most likely need."""
    if (rules := study.spec.replicates) is not None:
        are_known(rules, n_configurations(study.spec.search, rules) - 1)


def settle(study: OpenStudy, are_known: KnowsLevels = known_now) -> Settling:
    """Judge the race of a study whose cells have all ended; returns what follows.

    Raises:
        UserError: the study has been deleted.
        MnistTuneError: its spec is damaged.
    """
    if (rules := study.spec.replicates) is None:
        return Settling.NOTHING
    with study.storage.transaction() as session:
        if not have_ended(session, study.study_id):
            return Settling.CELLS
        spec = stored_in(session, study)
    if (revisions := spec.search.revisions) and revisions[-1].race is not None and revisions[-1].race.ending:
        return Settling.NOTHING
    study.storage.refuse_group()  # all trials are read, while others would wait for their answers
    n_rivals = n_configurations(spec.search, rules) - 1
    while are_known(rules, n_rivals):
        with study.storage.transaction() as session:
            lock_study(session, study.study_id)
            while have_ended(session, study.study_id):
                race = _race(session, study)
                if race.n_rivals != n_rivals and not race.is_to_choose:
                    n_rivals = race.n_rivals  # some have failed, so that fewer have entered
                    break
                if not _add_round(session, study, race):
                    return Settling.NOTHING
            else:
                return Settling.CELLS
    return Settling.JUDGEMENT


def _race(session: orm.Session, study: OpenStudy) -> Race:
    spec = stored_in(session, study)
    return Race(spec, ended_cells(spec, read_trials(session, study.study_id, spec).trials))


def _add_round(session: orm.Session, study: OpenStudy, race: Race) -> bool:
    """Store the next judgement of a race with the cells that follow from it; False if there is none."""
    found = race.next_round()
    if found is None:
        return False
    step = Step.now("the race", race=found.judged)
    spec, added, _ = grown(race.spec, Growth(points=found.points), step)
    assert added is not None
    store_growth(session, study.study_id, race.spec, spec, added)
    return True
