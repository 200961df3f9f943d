"""Reading a study column by column gives the same as Optuna's own reader, and no more than is needed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.samplers import GridSampler
from optuna.trial import TrialState, create_trial

from mnist_tune.failures import Failure
from mnist_tune.records.columns import OWN, TrialColumns, read_columns
from mnist_tune.records.distributions import distributions, waiting_cells
from mnist_tune.records.parameters import distribution, external
from mnist_tune.records.values import moment
from mnist_tune.results.reading import read_results
from mnist_tune.storage.keys import CELL, FAILURE, LOG, WORKER
from mnist_tune.storage.optuna_internals import parameters
from mnist_tune.study.open_study import OpenStudy
from tests.support.made_studies.epochs import made_epoch
from tests.support.specs import TINY_SPEC
from tests.support.stored_epochs import numbers
from tests.support.studies import new_study, take

SAMPLED = """
[study]
name = "tiny"

[search]
sampler = "random"
n_trials = 4

[search.space]
learning_rate = {low = 0.0001, high = 0.1, log = true}
batch_size = {low = 16, high = 64, step = 16}
optimizer = ["Adam", "SGD"]
"""


def read(study: OpenStudy) -> list[TrialColumns]:
    """The study's trials."""
    with study.storage.transaction() as session:
        return read_columns(
            session, study.study_id, distributions(study.spec), [WORKER, FAILURE], [CELL, LOG]
        )


def parameters_of(study: OpenStudy) -> list[dict[str, Any]]:
    """Those of each trial."""
    axes = distributions(study.spec)
    return [
        {
            name: external(axes[name] if text == OWN else distribution(text), stored)
            for name, stored, text in trial.parameters
        }
        for trial in read(study)
    ]


def worked_on(folder: Path, spec: str) -> OpenStudy:
    """A study with a trial in each state, one that failed and waits again, and one of somebody else's."""
    study = new_study(folder, spec)
    queue = study.queue()
    for end in ("complete", "infinite", "failed", "running"):
        claim = take(queue)
        if spec == SAMPLED:
            study.guide().parameters(claim)
        queue.record(claim, reports={1: 50.0}, epochs=numbers([made_epoch(1, 50.0)]))
        if end == "complete":
            queue.complete(claim, 91.5, system={LOG: "said"})
        elif end == "infinite":
            queue.prune(claim, float("inf"))
        elif end == "failed":
            queue.give_back(claim, Failure("exception", "no reason"))
    stock = optuna.load_study(study_name="tiny", storage=str(study.storage.engine.url))
    other = optuna.distributions.FloatDistribution(0, 1)
    stock.add_trial(create_trial(value=1.0, params={"dropout": 0.5}, distributions={"dropout": other}))
    return study


@pytest.mark.parametrize("spec", [TINY_SPEC, SAMPLED])
def test_it_reads_what_optuna_reads(tmp_path: Path, spec: str) -> None:
    study = worked_on(tmp_path, spec)
    expected = study.storage.get_all_trials(study.study_id)
    found = read(study)
    assert {trial.state for trial in found} == {state.name for state in TrialState}
    assert [(each.trial_id, each.number, each.state) for each in found] == [
        (each._trial_id, each.number, each.state.name) for each in expected
    ]
    assert [each.values.get(0) for each in found] == [each.value for each in expected]
    assert [list(each.items()) for each in parameters_of(study)] == [
        list(each.params.items()) for each in expected
    ]
    for ours, optunas in zip(found, expected, strict=True):
        assert {key: json.loads(text) for key, text in ours.user.items()} == optunas.user_attrs
        system = {key: value for key, value in optunas.system_attrs.items() if key in (CELL, LOG)}
        assert {key: json.loads(text) for key, text in ours.system.items()} == system
        for our_time, optunas_time in (
            (moment(ours.started), optunas.datetime_start),
            (moment(ours.ended), optunas.datetime_complete),
        ):
            assert (our_time is None) == (optunas_time is None)
            if our_time is not None and optunas_time is not None:
                assert our_time == optunas_time.astimezone()


def test_a_parameter_with_another_distribution_than_the_specs_is_read_by_its_own(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    turned = optuna.distributions.CategoricalDistribution([0.0001, 0.001])
    stored = optuna.distributions.distribution_to_json(turned)
    with study.storage.transaction() as session:
        of_trial = parameters.c.trial_id == 1, parameters.c.param_name == "learning_rate"
        session.execute(parameters.update().where(*of_trial).values(distribution_json=stored))
    expected = study.storage.get_all_trials(study.study_id)
    assert parameters_of(study) == [trial.params for trial in expected]


@contextmanager
def watched(study: OpenStudy) -> Iterator[list[int]]:
    """How many characters each row has that the database hands out."""
    lengths: list[int] = []

    def count(row: tuple[object, ...]) -> tuple[object, ...]:
        lengths.append(sum(len(value) for value in row if isinstance(value, str)))
        return row

    def on_connect(connection: sqlalchemy.engine.interfaces.DBAPIConnection, _: object) -> None:
        connection.row_factory = lambda _, row: count(row)

    sqlalchemy.event.listen(study.storage.engine, "connect", on_connect)
    study.storage.engine.dispose()
    yield lengths


def test_a_long_axis_is_not_read_with_each_cell(tmp_path: Path) -> None:
    rates = [round(0.0001 * (index + 1), 4) for index in range(300)]
    study = new_study(tmp_path, f'[study]\nname = "tiny"\n[search.grid]\nlearning_rate = {rates}\n')
    with watched(study) as lengths:
        results = read_results(study)
    assert sorted(attempt.parameters["learning_rate"] for attempt in results.attempts) == rates
    assert len(lengths) > 300
    assert sum(lengths) < 300 * 100  # the axis has over 1,800 characters


def test_logs_are_read_only_where_they_are_wanted(tmp_path: Path) -> None:
    study = worked_on(tmp_path, TINY_SPEC)
    assert [attempt.log for attempt in read_results(study).attempts if attempt.log] == []
    with_logs = read_results(study, with_logs=True)
    assert [attempt.log for attempt in with_logs.attempts if attempt.log] == ["said"]


def test_a_grid_is_made_in_the_order_of_optunas_own_grid_ids(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    axes = distributions(study.spec)
    assert study.spec.search.grid is not None
    stock = GridSampler(study.spec.search.grid)
    made = waiting_cells(study.spec)
    assert len(made) == 8
    for grid_id, cell in enumerate(made):
        point = create_trial(state=TrialState.WAITING, system_attrs={"grid_id": grid_id})
        assert cell.system_attrs["grid_id"] == grid_id
        assert cell.params == {
            name: stock.sample_independent(None, point, name, axes[name])  # type: ignore[arg-type]
            for name in axes
        }
