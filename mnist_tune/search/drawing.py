"""Draws the parameters of tickets: no two cells of a study get the same, unless its spec says so.

A sampler only drafts a point. Whether another cell has it is decided in the transaction that writes it, with
the study's list of trials locked, so that two workers never get the same one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice
from typing import Any, TypeAlias

from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.study import Study
from sqlalchemy import orm, select

from mnist_tune.contract.claim import Claim
from mnist_tune.contract.study import LeaseLost
from mnist_tune.queue.cells import lock_study
from mnist_tune.queue.taken_points import TakenPoints, cell_of_trial
from mnist_tune.queue.tickets import close_tickets, unfinished_tickets
from mnist_tune.records.distributions import suggest
from mnist_tune.records.trained import FINISHED
from mnist_tune.search.finite_space import MOST_LISTED, any_value, configurations, n_configurations
from mnist_tune.search.history import LearntFrom
from mnist_tune.search.own_samplers import naming, within
from mnist_tune.search.samplers import sampler, seeds
from mnist_tune.spec.conditions import SEED, is_whole, wanted
from mnist_tune.spec.study_spec import Spec
from mnist_tune.storage.guarded import GuardedStorage
from mnist_tune.storage.keys import CLOSED, REUSED
from mnist_tune.storage.optuna_internals import (
    begun_trial,
    parameters,
    system_attributes,
    trials,
    user_attributes,
)
from mnist_tune.storage.statements import touch

Point: TypeAlias = dict[str, Any]
TakeOver: TypeAlias = Callable[[orm.Session, int, int], int]
"""Gives a running trial the result of another one of the study, by their ids; returns the other's number."""
DRAWS = 8
"""How often the study's sampler draws for a ticket."""
DRAWS_AT_RANDOM = 100
"""How often a point is drawn at random after that, if the space cannot be listed. It may have a small part in
which nearly all points are drawn: then one that is free is looked for.
"""


class Drawing:
    """Draws for the tickets of one study, for one worker."""

    def __init__(
        self, study: Study, seen: LearntFrom, storage: GuardedStorage, study_id: int, take_over: TakeOver
    ) -> None:
        """`study` is Optuna's object; its storage is `seen`."""
        self._study = study
        self._seen = seen
        self._storage = storage
        self._study_id = study_id
        self._take_over = take_over
        self._taken: TakenPoints | None = None

    def draw(self, spec: Spec, axes: Mapping[str, BaseDistribution], claim: Claim, stored: Point) -> Point:
        """A whole point with the values in `stored`, of which the others are written for the claimed trial.

        Before a race over seeds each trial has the first one: a sampler draws none.

        Raises:
            LeaseLost: the trial has got another one's result, or nothing is left to be drawn for it; or its
                lease is lost.
            SamplerFailed: another package's sampler has failed.
        """
        rule = spec.search.duplicates or "train"
        is_raced = spec.replicates is not None
        known = {SEED: int(spec.training.seed), **stored} if is_raced else stored
        if rule == "train":
            point = self._drafted(spec, axes, claim, known)
            with self._storage.guarded(claim.trial_id, claim.token) as session:
                self._write(session, axes, claim, point, stored)
            return point
        self._look_at(axes)
        point = known
        for number in range(DRAWS):
            point = self._drafted(spec, axes, claim, known, number)
            if self._may_have(axes, claim, point, stored, may_reuse=rule == "reuse"):
                return point
        size = n_configurations(axes, spec.search.conditions, known)
        if size is None:
            for number in range(DRAWS, DRAWS + DRAWS_AT_RANDOM):
                point = self._drafted(spec, axes, claim, known, number, at_random=True)
                if self._may_have(axes, claim, point, stored, may_reuse=rule == "reuse"):
                    return point
        otherwise = point if rule == "reuse" else None
        return self._left(spec, axes, claim, known, stored, size or 0, otherwise)

    def use_result(self, axes: Mapping[str, BaseDistribution], claim: Claim, point: Point) -> None:
        """Take over the result of another cell with the same point, if there is one.

        Raises:
            LeaseLost: it was taken over, or the lease is lost.
        """
        self._look_at(axes)
        self._may_have(axes, claim, point, point, may_reuse=True)

    def _look_at(self, axes: Mapping[str, BaseDistribution]) -> None:
        if self._taken is None:
            self._taken = TakenPoints(self._study_id, axes)
        self._taken.take_up(axes)

    def _drafted(
        self,
        spec: Spec,
        axes: Mapping[str, BaseDistribution],
        claim: Claim,
        known: Point,
        number: int = 0,
        *,
        at_random: bool = False,
    ) -> Point:
        """A whole point, of which nothing is written."""
        values = dict(known)
        missing = [name for name in wanted(axes, spec.search.conditions, values) if name not in values]
        if not missing:
            return values
        # As in `ask`, the sampler sees the study as it is now, without waiting trials.
        shown = self._seen.get_all_trials()
        with self._seen.drafting(), naming(spec.search.sampler):
            self._study.sampler = sampler(spec, claim.number, number, at_random=at_random)
            trial = begun_trial(self._study, claim.trial_id, shown)
            for name in wanted(axes, spec.search.conditions, values):
                if name not in values:
                    values[name] = within(axes[name], name, suggest(trial, name, axes[name]))
        return values

    def _may_have(
        self,
        axes: Mapping[str, BaseDistribution],
        claim: Claim,
        point: Point,
        stored: Point,
        *,
        may_reuse: bool,
    ) -> bool:
        """Write the point unless another cell has it; whether it was written."""
        used = None
        with self._storage.transaction() as session:
            taken = self._lock(session, claim)
            others = taken.of_others(taken.key_of(point), cell_of_trial(session, claim.trial_id))
            if others:
                used = self._with_result(session, others) if may_reuse else None
                if used is None:
                    return False
            self._write(session, axes, claim, point, stored)
            number = None if used is None else self._take_over(session, claim.trial_id, used)
        if number is not None:
            raise LeaseLost(f"trial {number} has the same parameters: its result is taken over")
        return True

    def _left(
        self,
        spec: Spec,
        axes: Mapping[str, BaseDistribution],
        claim: Claim,
        known: Point,
        stored: Point,
        size: int,
        otherwise: Point | None,
    ) -> Point:
        """One of the points that no cell has, each with the same chance; without any, `otherwise`.

        Of more than can be listed, it is one of the first ones.
        """
        chance = random.Random(int(seeds(spec, claim.number, DRAWS).generate_state(1)[0]))
        with self._storage.transaction() as session:
            taken = self._lock(session, claim)
            cell = cell_of_trial(session, claim.trial_id)
            found, n_free = otherwise, 0
            replicate = {name: value for name, value in known.items() if name not in axes}
            found_all = configurations(axes, spec.search.conditions, known, partial(any_value, chance))
            for configuration in islice(found_all, MOST_LISTED):
                point = configuration | replicate
                if not taken.of_others(taken.key_of(point), cell):
                    n_free += 1
                    if chance.randrange(n_free) == 0:
                        found = point
            if found is not None:
                self._write(session, axes, claim, found, stored)
                return found
            closed = [claim.trial_id]
            if not stored:
                unfinished = unfinished_tickets(session, self._study_id)
                points = ((one, taken.point(one)) for one in unfinished)
                closed += [one for one, point in points if self._has_none_left(spec, axes, point, known)]
            why = close_tickets(session, self._study_id, list(dict.fromkeys(closed)), 0 if stored else size)
        raise LeaseLost(why)

    def _lock(self, session: orm.Session, claim: Claim) -> TakenPoints:
        """Lock the study and the claimed trial, and read what other cells have."""
        lock_study(session, self._study_id)
        if not touch(session, claim.trial_id, claim.token):
            raise LeaseLost(*self._why_over(session, claim.trial_id))
        assert self._taken is not None
        self._taken.refresh(session)
        return self._taken

    def _why_over(self, session: orm.Session, trial_id: int) -> list[str]:
        for table, key, why in (
            (system_attributes, CLOSED, "nothing is left to be drawn for it"),
            (user_attributes, REUSED, "it has the result of a trial with the same parameters"),
        ):
            which = select(table.c.key).where(table.c.trial_id == trial_id, table.c.key == key)
            if session.execute(which).first() is not None:
                return [why]
        return []

    def _with_result(self, session: orm.Session, trial_ids: list[int]) -> int | None:
        which = trials.c.trial_id.in_(trial_ids), trials.c.state.in_(FINISHED)
        found = session.execute(select(trials.c.trial_id).where(*which).order_by(trials.c.trial_id))
        trained = [one for one in found.scalars() if self._seen.is_trained(session, one)]
        return trained[0] if trained else None

    def _has_none_left(
        self, spec: Spec, axes: Mapping[str, BaseDistribution], point: Point, known: Point
    ) -> bool:
        """Whether something is to be drawn for a ticket with these values, and nothing is left with `known`.

        Of another seed there may be some left.
        """
        is_alike = SEED not in point or (SEED in axes and point[SEED] == known.get(SEED, point[SEED]))
        return is_alike and not is_whole(axes, spec.search.conditions, point)

    def _write(
        self,
        session: orm.Session,
        axes: Mapping[str, BaseDistribution],
        claim: Claim,
        point: Point,
        stored: Point,
    ) -> None:
        rows = [
            {
                "trial_id": claim.trial_id,
                "param_name": name,
                "param_value": axes[name].to_internal_repr(value),
                "distribution_json": distribution_to_json(axes[name]),
            }
            for name, value in point.items()
            if name not in stored
        ]
        if rows:
            session.execute(parameters.insert(), rows)
