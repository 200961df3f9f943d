"""A study as frozen rows: its cells, their attempts, the ranking, and what to be careful about."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from mnist_tune.contract.study import Control
from mnist_tune.jobs.description import JobDescription
from mnist_tune.queue.worker_registry import WorkerRow
from mnist_tune.records.imported import ImportedTrial
from mnist_tune.results import comparability, unsaved_files
from mnist_tune.results.candidates import Candidate, EndedEarly, ended_early, seeds_wanted, varied
from mnist_tune.results.cell_counts import Cells
from mnist_tune.results.confirmation import Confirmation, told_on_test_data
from mnist_tune.results.evidence import evidence, reservations, verdict
from mnist_tune.results.imported import better_than
from mnist_tune.results.race_standing import RaceStanding
from mnist_tune.results.ranking import Place, Verdict, as_judged, in_order, rank
from mnist_tune.results.significance import Measure, measure_of
from mnist_tune.results.trial_result import State, TrialResult
from mnist_tune.spec.axes import Interval
from mnist_tune.spec.conditions import Value
from mnist_tune.spec.stopped import Stopped
from mnist_tune.spec.stored import SpecOfStudy
from mnist_tune.spec.study_spec import SETTINGS
from mnist_tune.storage.keys import WEIGHTS


@dataclass(frozen=True)
class Results:
    """Everything that a report needs to know about a study."""

    spec: SpecOfStudy
    attempts: list[TrialResult]
    control: Control = Control.RUNNING
    workers: list[WorkerRow] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """Stored data besides the attempts that cannot be read, such as other trials and workers; a line each."""
    others: list[str] = field(default_factory=list)
    """Trials of other programs that do not count, and why; a line for each."""
    deleted: list[int] = field(default_factory=list)
    """The cells of which no trial is left."""
    stopped: Stopped | None = None
    """Why the study has stopped by its [stop]; None if it has not."""
    imported: list[ImportedTrial] = field(default_factory=list)
    """Results that were obtained elsewhere, which are in no ranking."""
    confirmations: list[Confirmation] = field(default_factory=list)
    """What the studies tell that confirm its choice; or what it tells itself, if it is a confirmation."""

    @property
    def name(self) -> str:
        return self.spec.study.name

    @property
    def job(self) -> JobDescription:
        """What is known of the study's job."""
        return self.spec.description

    @cached_property
    def metrics(self) -> list[str]:
        """The names of the metrics that the job declares or has reported; the objective comes last."""
        last = (epoch for attempt in self.latest for epoch in attempt.history[-1:])
        return self.job.shown(dict.fromkeys(name for epoch in last for name in epoch.numbers))

    @property
    def measure(self) -> Measure:
        """How the objective is compared."""
        return measure_of(self.spec)

    @property
    def parameters(self) -> dict[str, list[Value] | Interval]:
        """What cells have of their own: the searched fields and, if some are replicates, the seed."""
        return varied(self.spec, self.latest)

    @cached_property
    def latest(self) -> list[TrialResult]:
        """The last attempt of each cell, which determines the cell's state."""
        return list({attempt.cell: attempt for attempt in self.attempts}.values())

    @cached_property
    def complete(self) -> list[TrialResult]:
        """The attempts that have completed their cells, with a result that can be read."""
        return [attempt for attempt in self.finished if attempt.state == State.COMPLETE]

    @cached_property
    def finished(self) -> list[TrialResult]:
        """The attempts that were completed or pruned, so that their cells are not tried again."""
        ended = (attempt for attempt in self.attempts if attempt.state in (State.COMPLETE, State.PRUNED))
        return [attempt for attempt in ended if attempt.is_sound]

    @cached_property
    def ranking(self) -> list[Place]:
        """The configurations of the completed cells, ordered by their mean objective over seeds.

        Those of a race over seeds are in the order in which the race has judged them.
        """
        seed, n_seeds = self.spec.training.seed, seeds_wanted(self.spec)
        if self.race is None:
            return rank(self.finished, seed, self.measure, n_seeds)
        return as_judged(in_order(self.finished, seed, self.job.sign, n_seeds), self.race)

    @cached_property
    def race(self) -> RaceStanding | None:
        """The study's race over seeds, if it has one."""
        if self.spec.replicates is None:
            return None
        return RaceStanding(self.spec, self.latest, is_open=self._n_open > 0)

    @cached_property
    def ended_early(self) -> list[EndedEarly]:
        """The configurations that the pruner has judged worse, which are not ranked."""
        return ended_early(self.finished, self.spec.training.seed, self.job.sign)

    @cached_property
    def evidence(self) -> list[str]:
        """What the ranking shows and what it does not, a sentence each."""
        race = None if self.race is None else list(self.race.lines())
        shown = evidence(self.ranking, self.spec, len(self.ended_early), n_open=self._n_open, race=race)
        on_test_data = told_on_test_data(self.confirmations, self.spec)
        return [*better_than(self.best, self.imported, self.job), *shown, *on_test_data]

    @property
    def reservations(self) -> list[str]:
        """The part of the evidence that says why the ranking may change, or is not all that is known."""
        may_change = reservations(self.ranking, self.spec, self._n_open)
        return [*better_than(self.best, self.imported, self.job), *may_change]

    def interval(self, place: Place) -> str:
        """By how much a place is behind the best of a race over seeds, as the race has judged, in words."""
        if self.race is None or place.judged is None:
            return ""
        return self.race.interval(place.judged)

    def verdict(self, place: Place) -> str:
        """A place's verdict, in the words in which all pages show it."""
        return verdict(place, is_finished=self.is_finished)

    @cached_property
    def cells(self) -> Cells:
        """How many cells are in each state."""
        states = Counter(State.WAITING if attempt.comes_back else attempt.state for attempt in self.latest)
        return Cells(
            total=self.spec.n_cells,
            waiting=states[State.WAITING],
            running=states[State.RUNNING],
            complete=states[State.COMPLETE],
            pruned=states[State.PRUNED],
            failed=states[State.FAILED] + len(self.deleted),
        )

    @property
    def best(self) -> Candidate | None:
        """The first configuration of the ranking; None while it is empty."""
        return self.ranking[0].candidate if self.ranking else None

    @property
    def best_word(self) -> str:
        """What to call the best configuration, which may change before the end of a study."""
        return self.verdict(self.ranking[0]) if self.ranking else Verdict.BEST

    @property
    def tied(self) -> list[Candidate]:
        """The other configurations that may be as good as the best."""
        return [place.candidate for place in self.ranking[1:] if place.is_tied]

    @property
    def is_finished(self) -> bool:
        """Whether every cell has ended, with a result or as failed for good, and so has the study's race."""
        return self._n_open == 0 and (self.race is None or self.race.is_over)

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens by itself: it is finished, or stopped and no trial runs any more."""
        return self.is_finished or (self.control is Control.STOPPED and not self.cells.running)

    @property
    def why_stopped(self) -> str:
        """Why [stop] has stopped the study, in words; empty if it has not."""
        if self.control is not Control.STOPPED:
            return ""
        return "the reason cannot be read" if self.stopped is None else self.stopped.told(self.job)

    @property
    def left_out(self) -> list[str]:
        """Why a sampled search has fewer cells than were asked for, in words."""
        return [one.told for one in self.spec.search.revisions or () if one.closed]

    @property
    def stopped_badly(self) -> bool:
        """Whether [stop] has stopped the study since too much went wrong."""
        return bool(self.why_stopped) and self.stopped is not None and self.stopped.is_failure

    @property
    def _n_open(self) -> int:
        return self.cells.waiting + self.cells.running

    @property
    def holes(self) -> list[TrialResult]:
        """The last attempt of each cell that nobody will try again; `deleted` cells have none."""
        return [
            attempt for attempt in self.latest if attempt.state == State.FAILED and not attempt.comes_back
        ]

    @property
    def without_weights(self) -> list[TrialResult]:
        """The completed cells whose weights could not be written, so that no folder has them."""
        return [attempt for attempt in self.complete if WEIGHTS in attempt.not_kept]

    @property
    def problems(self) -> list[str]:
        """What is stored of the study and cannot be read, one line each."""
        of_attempts = ((attempt.number, problem) for attempt in self.attempts for problem in attempt.problems)
        return [*self.lost, *(f"trial {number}: {problem}" for number, problem in of_attempts)]

    @property
    def warnings(self) -> list[str]:
        """Why the cells are less comparable than they look, and what does not count at all."""
        deleted = [f"no trial of cell {cell} is left: somebody deleted it" for cell in self.deleted]
        return [
            *self.others,
            *deleted,
            *comparability.differing(self.attempts, self.spec.search.axes),
            *comparability.copied_in_part(self.attempts, self.job),
            *unsaved_files.warnings(self.without_weights, self.latest),
        ]

    def best_as_json(self) -> dict[str, Any] | None:
        """The first configuration of the ranking as plain data for JSON; None while there is none."""
        if self.best is None:
            return None
        return self.ranking[0].as_json() | {"trial": self.best.first.number, "value": self.best.mean}

    def as_json(self) -> dict[str, Any]:
        """The plain data that `status --json` prints."""
        return {
            "study": self.name,
            "control": self.control,
            "stopped": self.stopped.as_json(self.job) if self.why_stopped and self.stopped else None,
            "cells": asdict(self.cells),
            "finished": self.is_finished,
            "best": self.best_as_json(),
            "ranking": [place.as_json() for place in self.ranking],
            "ended_early": [one.as_json() for one in self.ended_early],
            "evidence": self.evidence,
            "confirmations": [each.as_json() for each in self.confirmations],
            "race": None if self.race is None else self.race.as_json(),
            "trials": [attempt.as_json() for attempt in self.attempts],
            "imported": [one.as_json() for one in self.imported],
            "workers": [worker.as_json(self.job.rate) for worker in self.workers],
            "revisions": self.spec.revisions,
            "settings": {table: getattr(self.spec, table).model_dump() for table in SETTINGS},
            "warnings": self.warnings,
            "problems": self.problems,
        }
