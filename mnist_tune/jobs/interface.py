"""What a job is written with: `@job` marks the function that trains, and `Trial` is what it is given."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from mnist_tune.errors import UserError
from mnist_tune.jobs.description import (
    Binomial,
    Direction,
    JobDescription,
    Normal,
    ObjectiveEpoch,
    Reference,
    Source,
    as_more_epochs,
)
from mnist_tune.jobs.evaluation import Evaluation, SavedModel
from mnist_tune.jobs.fields import KINDS, first_mistake
from mnist_tune.jobs.hyperparameters import DataOptions, Hyperparameters
from mnist_tune.jobs.metric import Metric
from mnist_tune.jobs.plan import Plan, Remark, mistakes_in


class CannotResume(Exception):  # noqa: N818 - an outcome more than an error
    """A kept object cannot go on from the state that it was given; the message says why.

    An object's `load_state_dict` may raise it. The trial then begins at its first epoch.
    """


class NonFiniteMetric(Exception):  # noqa: N818 - an outcome of a trial more than an error
    """A metric became inf or nan; the message says which, and in which epoch."""


class JobMistake(Exception):  # noqa: N818 - like UserError, for who writes a job
    """A job uses its trial in a way that cannot work; the message says how it is used."""


class Trial(Protocol):
    """One run of a job: what it runs on, and what it reports. A job gets it as its second argument."""

    @property
    def device(self) -> str:
        """The device to compute on, such as `cpu` or `cuda:0`."""

    @property
    def threads(self) -> int | None:
        """How many threads torch was told to use; None if torch decides."""

    @property
    def settings(self) -> Any:
        """The hyperparameters of this trial, the same as the job's first argument."""

    @property
    def data(self) -> Any:
        """The options of the table [data], if the job has any."""

    @property
    def data_directory(self) -> Path | None:
        """The folder that `--data-dir` names; None if nothing was named."""

    def keep(self, **objects: Any) -> None:
        """Name the objects whose `state_dict` is saved after epochs, before the first epoch begins.

        If an earlier attempt has saved their states, each gets its own by `load_state_dict`. The states of
        the random number generators are saved too. A job that keeps nothing starts anew after a loss.
        """

    def epochs(self) -> Iterator[int]:
        """The numbers of the epochs to run, from 1 to `settings.epochs`, without those that are done."""

    def check(self) -> None:
        """End the trial here if it must stop at once. Calling it for every batch is cheap."""

    def report(self, **metrics: float) -> None:
        """Report an epoch's metrics by name, once an epoch; numbers only.

        The count of the job's unit, such as `rows=20_000`, says how much was trained, and gives the speed.
        The trial ends here if its worker was asked to leave; here or in a later call if it was pruned or has
        lost its lease.
        """

    def save(self, name: str, content: Any) -> None:
        """Keep a file with the trial when it is complete: bytes, or tensors by name, or a module."""

    def note(self, **facts: str | float | None) -> None:
        """Store facts on which the numbers depend, such as the hash of the data, before the first epoch."""

    def log(self, line: str) -> None:
        """Write a line to the trial's log."""


Evaluate = Callable[[Any, SavedModel], Evaluation | Mapping[str, float]]


@dataclass
class Job:
    """A function that trains, with all that its author has said about it. It is called as the function is."""

    train: Callable[..., None]
    objective: str
    direction: Direction
    settings: type[Hyperparameters]
    objective_epoch: ObjectiveEpoch = "last"
    unit: str | None = None
    metrics: dict[str, Metric] = field(default_factory=dict)
    only_declared: bool = False
    data_options: type[DataOptions] | None = None
    noise: Binomial | Normal | None = None
    check: Callable[[Plan, Any, Any], Iterable[Remark]] | None = None
    prepare: Callable[[Any, str, Path | None], None] | None = None
    evaluate: Evaluate | None = None
    all_data: Callable[[Any], Any] | None = None
    reference: Reference | None = None
    more_epochs: bool | Mapping[str, Iterable[KINDS]] = False

    def __call__(self, *arguments: Any, **named: Any) -> None:
        self.train(*arguments, **named)

    def describe(self, name: str, source: Source) -> JobDescription:
        """The job as plain data. Raises UserError."""
        try:
            described = JobDescription(
                name=name,
                objective=self.objective,
                direction=self.direction,
                objective_epoch=self.objective_epoch,
                metrics=self.metrics,
                only_declared=self.only_declared,
                unit=self.unit,
                hyperparameters=self.settings.model_json_schema(),
                data_options=self.data_options.model_json_schema() if self.data_options else {},
                noise=self.noise,
                evaluates=self.evaluate is not None,
                holds_back=self.all_data is not None,
                reference=self.reference,
                more_epochs=as_more_epochs(self.more_epochs),
                source=source,
            )
        except ValidationError as error:
            raise UserError(f"job {name}: {first_mistake(error)}") from None
        if (wrong := described.field_that_is_missing) is not None:
            raise UserError(f"job {name}: its {wrong}")
        return described

    def options(self, given: Mapping[str, Any], *, all_data: bool = False) -> Any:
        """The table [data] in the job's own class; None for a job that has no such table.

        With `all_data`, nothing is held back for validation.
        """
        options = None if self.data_options is None else self.data_options(**given)
        return self.all_data(options) if all_data and self.all_data is not None else options

    def remarks(self, plan: Plan) -> list[Remark]:
        """What is wrong with a plan; if nothing is, which of its settings have no effect."""
        mistakes = [*mistakes_in(self.settings, "training", plan.training)]
        if self.data_options is not None:
            mistakes += mistakes_in(self.data_options, "data", plan.data)
        if mistakes or self.check is None:
            return mistakes
        settings = self.settings.model_construct(**plan.training)
        return list(self.check(plan, settings, self.options(plan.data)))


def job(
    *,
    objective: str,
    direction: Direction,
    objective_epoch: ObjectiveEpoch = "last",
    unit: str | None = None,
    metrics: Mapping[str, Metric] | Iterable[str] = (),
    data_options: type[DataOptions] | None = None,
    noise: Binomial | Normal | None = None,
    check: Callable[[Plan, Any, Any], Iterable[Remark]] | None = None,
    prepare: Callable[[Any, str, Path | None], None] | None = None,
    evaluate: Evaluate | None = None,
    all_data: Callable[[Any], Any] | None = None,
    reference: Reference | None = None,
    more_epochs: bool | Mapping[str, Iterable[KINDS]] = False,
) -> Callable[[Callable[..., None]], Job]:
    """Make a training function a job.

    Args:
        objective: The metric by which trials are compared. The function must report it in every epoch.
        direction: "minimize" or "maximize".
        objective_epoch: Whether a trial's value is that of its last epoch or the best of its epochs. The
            best of many noisy values is too good by chance.
        unit: What an epoch goes through, in the plural, such as "rows"; the speed is shown in it.
        metrics: The names of all metrics, or the names with the way in which each is shown. A metric that
            is reported and not named here is then an error. Without it, any name may be reported.
        data_options: The class of the fields of the spec's table [data].
        noise: How uncertain one measurement of the objective is. Without it, nothing is said about
            configurations that were run with one seed.
        check: Looks at a study before it is made, given its plan, its fixed settings and its data options.
        prepare: Loads the data, given its options, the device and the folder of `--data-dir`. It is called
            in each training process before the first trial, so that data that is missing ends the worker and
            no trial. What it raises as a MnistTuneError is shown as it is.
        evaluate: Measures a model on test data, given its settings and a `SavedModel`: metrics by name, or an
            `Evaluation`. Nothing but the commands `evaluate` and `confirm` calls it: no trial is chosen by
            test data.
        all_data: Changes the data options so that nothing is held back for validation. `train` and `confirm`
            then train on all data, and the objective need not be reported.
        reference: A result that is known from elsewhere, which reports show beside the winner.
        more_epochs: Whether the first epochs of a trial are the same however many are to come, so that one
            which has ended may be given more. If only some values of hyperparameters forbid that, name them:
            {"schedule": ["cosine"]}.

    Raises:
        TypeError: the function does not take (settings, trial), or its settings are no Hyperparameters.
    """

    def mark(function: Callable[..., None]) -> Job:
        named = dict(metrics) if isinstance(metrics, Mapping) else {name: Metric() for name in metrics}
        return Job(
            train=function,
            objective=objective,
            direction=direction,
            settings=_settings_of(function),
            objective_epoch=objective_epoch,
            unit=unit,
            metrics=named,
            only_declared=bool(named),
            data_options=data_options,
            noise=noise,
            check=check,
            prepare=prepare,
            evaluate=evaluate,
            all_data=all_data,
            reference=reference,
            more_epochs=more_epochs,
        )

    return mark


def _settings_of(function: Callable[..., None]) -> type[Hyperparameters]:
    name = getattr(function, "__name__", "the job")
    parameters = list(inspect.signature(function).parameters)
    if len(parameters) != 2:
        raise TypeError(f"{name} must take two arguments: its settings and the trial")
    found = typing.get_type_hints(function).get(parameters[0])
    if not (isinstance(found, type) and issubclass(found, Hyperparameters)):
        raise TypeError(
            f"{name}: annotate its argument '{parameters[0]}' with a class derived from Hyperparameters"
        )
    return found
