"""Makes the study that confirms a choice: trained on all data with new seeds, measured once on test data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

from mnist_tune.errors import UserError
from mnist_tune.models import SEEDS
from mnist_tune.results.exports import best_trial, hyperparameters
from mnist_tune.results.study_results import Results
from mnist_tune.results.trial_result import State, TrialResult
from mnist_tune.service.calls import StudiesForPeople
from mnist_tune.spec.conditions import SEED
from mnist_tune.spec.confirmations import confirmed
from mnist_tune.spec.differences import differences
from mnist_tune.spec.documents import validate
from mnist_tune.spec.study_spec import Spec, spec_class
from mnist_tune.storage.keys import WEIGHTS
from mnist_tune.worker.attempt_record import LOG_FILE

OF_THE_PARENT = ("lease", "retry", "limits")
"""The tables of settings that it takes over: [stop] is about a search."""


@dataclass(frozen=True)
class Confirming:
    """A study that confirms a choice, made now or there already."""

    spec: Spec
    is_new: bool
    reservations: list[str]
    """Why another configuration may become the choice; nothing if a person has chosen it."""

    @property
    def seeds(self) -> list[Any]:
        """The seeds with which it trains."""
        return list((self.spec.search.grid or {})[SEED])

    @property
    def told(self) -> str:
        """Which configuration it trains, in words."""
        assert self.spec.confirm is not None  # it is a confirmation
        return f"the configuration of trial {self.spec.confirm.trial} of '{self.spec.confirm.study}'"

    def as_json(self, storage: str) -> dict[str, Any]:
        """The study as plain data for JSON."""
        return {
            "study": self.spec.study.name,
            "confirms": self.spec.confirm and self.spec.confirm.model_dump(),
            "metric": self.spec.description.objective,
            "training": {name: value for name, value in _fields(self.spec).items() if value is not None},
            "seeds": self.seeds,
            "created": self.is_new,
            "storage": storage,
            "reservations": self.reservations,
        }


def confirm(
    service: StudiesForPeople,
    study: str,
    *,
    seeds: int = SEEDS,
    name: str | None = None,
    trial: int | None = None,
    metric: str | None = None,
) -> Confirming:
    """Make the study that confirms the best configuration of `study`, or that of `trial`.

    The same again changes nothing. Its seeds are none that the search has used: a seed that has helped a
    configuration to win would flatter it again.

    Raises:
        UserError: there is nothing to choose, the job cannot train on all data or measure, or another study
            has the name.
    """
    results = service.results(study)
    if results.spec.confirm is not None:
        raise UserError(
            f"study '{study}' is a confirmation itself; more seeds tell more: mnist-tune extend {study} "
            "--seeds +5"
        )
    chosen = best_trial(results) if trial is None else _complete(results, trial)
    reservations = results.reservations if trial is None else []
    name = name or f"{study}-confirm"
    there = service.spec(name) if name in service.study_names() else None
    if there is not None:
        if there.confirm is None:
            raise UserError(f"study '{name}' is there, and confirms nothing; name another with --name")
        known: list[Any] = list((there.search.grid or {})[SEED])
        _check_alike(there, _spec(results, chosen, name, metric, known))
        if len(known) < seeds:
            raise UserError(
                f"study '{name}' exists with {len(known)} seeds; give it more with: mnist-tune extend {name} "
                f"--seeds {seeds}"
            )
        return Confirming(there, False, reservations)
    used = {one.parameters.get(SEED, results.spec.training.seed) for one in results.attempts}
    axis = results.spec.search.axes.get(SEED)
    used |= set(axis if isinstance(axis, list) else ())
    unused: Iterable[int] = (seed for seed in count() if seed not in used)
    created = service.create(_spec(results, chosen, name, metric, list(islice(unused, seeds))))
    return Confirming(created.spec, created.is_new, reservations)


def _spec(results: Results, chosen: TrialResult, name: str, metric: str | None, seeds: list[Any]) -> Spec:
    """The spec of the confirmation. Raises UserError if the job cannot be confirmed."""
    spec, source = results.spec, f"study '{results.name}'"
    described = confirmed(spec.description, metric, source)
    if not chosen.artifacts.keys() - {LOG_FILE} and WEIGHTS not in chosen.not_kept:
        raise UserError(
            f"{source}: trial {chosen.number} has saved no file, so that there is no model to measure; have "
            "the job call trial.save"
        )
    document = {
        "study": {"name": name},
        "job": spec.job.document(),
        "search": {"grid": {SEED: seeds}},
        "confirm": {"study": results.name, "trial": chosen.number, "metric": described.test_metric},
        "training": {key: value for key, value in hyperparameters(results, chosen).items() if key != SEED},
        "data": spec.data.model_dump(exclude_none=True),
        **{table: getattr(spec, table).model_dump() for table in OF_THE_PARENT},
    }
    return validate(spec_class(described), document, "confirm")


def _complete(results: Results, number: int) -> TrialResult:
    """The trial of this number. Raises UserError if it is not complete."""
    for each in results.complete:
        if each.number == number:
            return each
    known = next((each.state for each in results.attempts if each.number == number), None)
    state = f"is {known}" if known is not None and known is not State.COMPLETE else "is not there"
    raise UserError(f"--trial {number}: {state} in study '{results.name}'; name a complete trial of it")


def _check_alike(there: Spec, wanted: Spec) -> None:
    """Raise UserError if the two confirm different things; any trial may stand for its configuration."""
    assert there.confirm is not None and wanted.confirm is not None  # noqa: PT018 - both are confirmations
    alike = wanted.confirm.model_copy(update={"trial": there.confirm.trial})
    if differing := differences(there, wanted.model_copy(update={"confirm": alike})):
        raise UserError(
            f"study '{there.study.name}' exists with another spec: {'; '.join(differing)}; give this one "
            "another name with --name"
        )


def _fields(spec: Spec) -> dict[str, Any]:
    return {name: value for name, value in spec.training.model_dump().items() if name != SEED}
