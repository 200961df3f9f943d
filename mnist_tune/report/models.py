"""Checks that evaluated models are the winner's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mnist_tune.errors import UserError
from mnist_tune.models.evaluation_file import Evaluated
from mnist_tune.report.test_data import data_field
from mnist_tune.results.candidates import NOT_THE_RECIPE
from mnist_tune.results.study_results import Results
from mnist_tune.text.wording import parameters_text


def check(models: Sequence[Evaluated], results: Results) -> None:
    """Check that all models have the winner's configuration and data, and are replicates of each other.

    Raises:
        UserError: a model is not the winner's, or not a replicate.
    """
    best = results.best
    if models and best is None:
        raise UserError(f"study '{results.name}' has no complete trial yet: no model can be its winner's")
    for model in models:
        study = model.configuration.origin.get("study")
        if study != results.name:
            came = f"study {study!r}" if isinstance(study, str) else "no study"
            raise UserError(
                f"{model.folder}: was exported from {came}, not from '{results.name}'; {_remedy(results)}"
            )
        ours, theirs = model.evaluation.dataset, data_field(results, "dataset")
        if ours is not None and theirs is not None and ours != theirs:
            raise UserError(
                f"{model.folder}: was evaluated on {ours}, and '{results.name}' is a study on {theirs}; "
                + _remedy(results)
            )
        assert best is not None
        winner = _recipe(results.spec.training.model_dump() | best.parameters)
        trained = _recipe(model.configuration.training.model_dump())
        differing = {name: value for name, value in trained.items() if value != winner[name]}
        if differing:
            wanted = {name: winner[name] for name in differing}
            raise UserError(
                f"{model.folder}: is not the winner of '{results.name}': was trained with "
                f"{parameters_text(differing)}, and the winner has {parameters_text(wanted)}; "
                + _remedy(results)
            )
    _are_replicates(models, results.job.unit or "units")


def _are_replicates(models: Sequence[Evaluated], unit_trained: str) -> None:
    seen: dict[int, Evaluated] = {}
    for model in models:
        seed = model.configuration.training.seed
        if seed in seen:
            raise UserError(
                f"{model.folder}: has the same seed as {seen[seed].folder}, {seed}; "
                "train it with another --seed, or leave one out"
            )
        seen[seed] = model
        first = models[0]
        alike = "name models that were made alike"
        for what, ours, theirs, unit in (
            ("trained", model.trained_on, first.trained_on, unit_trained),
            ("evaluated", model.evaluation.n_cases, first.evaluation.n_cases, first.evaluation.cases),
        ):
            if ours != theirs:
                raise UserError(
                    f"{model.folder}: was {what} on {_number(ours)} {unit} and {first.folder} on "
                    f"{_number(theirs)}; {alike}"
                )
        if (name := first.evaluation.first[0]) not in model.evaluation.metrics:
            raise UserError(f"{model.folder}: has no {name} as {first.folder} has; {alike}")


def _number(n: int | None) -> str:
    return "an unknown number of" if n is None else f"{n:,}"


def _recipe(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in NOT_THE_RECIPE}


def _remedy(results: Results) -> str:
    return f"export it with: mnist-tune export {results.name}, then train and evaluate that"
