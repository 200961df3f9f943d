"""What is relied on in Optuna's private parts: where Optuna moves one, a test here says which, and first."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
import pytest
from alembic.script import ScriptDirectory
from optuna.artifacts import FileSystemArtifactStore, get_all_artifact_meta, upload_artifact
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers import GridSampler, TPESampler
from optuna.trial import TrialState
from sqlalchemy import orm, select

from mnist_tune.storage import optuna_internals as internals

CHOICE = CategoricalDistribution(["Adam", "SGD"])


@pytest.fixture
def optuna_storage(tmp_path: Path) -> internals.ReadableStorage:
    return internals.ReadableStorage(f"sqlite:///{tmp_path / 'studies.db'}")


@pytest.fixture
def optuna_study(optuna_storage: internals.ReadableStorage) -> optuna.Study:
    """A study with a complete, a pruned and a running trial."""
    optuna_study = optuna.create_study(study_name="one", storage=optuna_storage, direction="maximize")
    optuna_study.set_user_attr("author", "somebody")
    optuna_storage.set_study_system_attr(1, "group", 3)
    internals.use_storage(optuna_study, optuna_storage)
    for number, state in enumerate((TrialState.COMPLETE, TrialState.PRUNED, None)):
        trial = optuna_study.ask()
        trial.suggest_float("learning_rate", 0.001, 0.1)
        trial.suggest_categorical("optimizer", ["Adam", "SGD"])
        trial.report(number / 2, step=1)
        trial.set_user_attr("worker", "here")
        optuna_storage.set_trial_system_attr(number + 1, "cell", number)
        if state is not None:
            optuna_study.tell(trial, 0.5 if state == TrialState.COMPLETE else None, state)
    return optuna_study


def test_the_tables_hold_what_stock_optuna_stores(
    optuna_study: optuna.Study, optuna_storage: internals.ReadableStorage
) -> None:
    def rows(table: Any, *columns: str) -> list[tuple[Any, ...]]:
        with optuna_storage.engine.connect() as connection:
            found = connection.execute(select(*(table.c[column] for column in columns)))
            return sorted(tuple(row) for row in found)

    of_study = ("study_id", "key", "value_json")
    of_trial = ("trial_id", "key", "value_json")
    assert rows(internals.studies, "study_id", "study_name") == [(1, "one")]
    assert [row[:2] for row in rows(internals.study_directions, "study_id", "objective")] == [(1, 0)]
    assert rows(internals.study_attributes, *of_study) == [(1, "author", '"somebody"')]
    assert rows(internals.study_system_attributes, *of_study) == [(1, "group", "3")]
    assert rows(internals.trials, "trial_id", "number", "study_id") == [(1, 0, 1), (2, 1, 1), (3, 2, 1)]
    with optuna_storage.engine.connect() as connection:
        states = list(connection.execute(select(internals.trials.c.state)).scalars())
    assert states == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING]
    assert rows(internals.user_attributes, *of_trial) == [(n, "worker", '"here"') for n in (1, 2, 3)]
    assert rows(internals.system_attributes, *of_trial) == [(n, "cell", str(n - 1)) for n in (1, 2, 3)]
    # A pruned trial's value is what it last reported.
    assert rows(internals.objective_values, "trial_id", "objective", "value") == [(1, 0, 0.5), (2, 0, 0.5)]
    assert rows(internals.intermediate_values, "trial_id", "step", "intermediate_value") == [
        (1, 1, 0.0),
        (2, 1, 0.5),
        (3, 1, 1.0),
    ]
    assert {row[1] for row in rows(internals.parameters, "trial_id", "param_name")} == {
        "learning_rate",
        "optimizer",
    }
    optuna_storage.record_heartbeat(3)
    assert rows(internals.heartbeats, "trial_id") == [(3,)]


def test_every_table_is_among_all_of_them_and_nothing_but_a_study_or_a_trial_owns_its_rows() -> None:
    tables = internals.TABLES.sorted_tables
    owned = [table for table in tables if "study_id" in table.c or "trial_id" in table.c]
    assert [table.name for table in tables if table not in owned] == [internals.VERSIONS.name]
    assert {internals.studies, internals.trials, internals.heartbeats, internals.parameters} < set(owned)
    assert all(len(table.primary_key) == 1 for table in owned)


@pytest.mark.parametrize(
    ("value", "stored"),
    [(0.5, (0.5, "FINITE")), (float("inf"), (None, "INF_POS")), (float("-inf"), (None, "INF_NEG"))],
)
def test_values_are_stored_in_two_columns(value: float, stored: tuple[float | None, str]) -> None:
    number, kind = internals.stored_value(value)
    assert (number, kind.name) == stored
    reported, reported_kind = internals.stored_intermediate_value(value)
    assert (reported, reported_kind.name) == stored
    assert internals.stored_intermediate_value(float("nan"))[1].name == "NAN"


def test_the_migrations_and_the_version_are_those_of_a_database_that_stock_makes(
    optuna_storage: internals.ReadableStorage,
) -> None:
    assert (
        optuna_storage.get_current_version() == ScriptDirectory(str(internals.MIGRATIONS)).get_current_head()
    )
    with optuna_storage.engine.connect() as connection:
        row = connection.execute(select(internals.VERSIONS)).one()
    assert (row.schema_version, row.library_version) == (internals.SCHEMA_VERSION, optuna.__version__)


def test_files_are_listed_under_the_prefix(
    optuna_study: optuna.Study, optuna_storage: internals.ReadableStorage, tmp_path: Path
) -> None:
    (tmp_path / "weights.bin").write_bytes(b"weights")
    (tmp_path / "files").mkdir()
    store = FileSystemArtifactStore(tmp_path / "files")
    artifact = upload_artifact(
        artifact_store=store,
        file_path=str(tmp_path / "weights.bin"),
        study_or_trial=optuna_study,
        storage=optuna_storage,
    )
    assert f"{internals.ARTIFACTS_ATTR_PREFIX}{artifact}" in optuna_storage.get_study_system_attrs(1)
    assert [meta.filename for meta in get_all_artifact_meta(optuna_study, storage=optuna_storage)] == [
        "weights.bin"
    ]


def test_a_password_with_braces_is_no_template() -> None:
    url = "postgresql://user:{secret}@host/name"
    assert internals.ReadableStorage._fill_storage_url_template(url) == url


def test_trials_are_read_in_a_transaction_of_ours_in_utc(
    optuna_study: optuna.Study, optuna_storage: internals.ReadableStorage
) -> None:
    with orm.Session(optuna_storage.engine) as session:
        trial = optuna_storage.trial_in(session, 1)
    assert (trial.number, trial.state, trial.value) == (0, TrialState.COMPLETE, 0.5)
    assert trial.datetime_start is not None
    assert trial.datetime_start.tzinfo == UTC
    assert abs((datetime.now(UTC) - trial.datetime_start).total_seconds()) < 3600
    assert optuna_storage.get_trial(1) == trial


def test_some_trials_and_all_above_an_id_are_read(
    optuna_study: optuna.Study, optuna_storage: internals.ReadableStorage
) -> None:
    some = optuna_storage.trials_among(1, {1}, above=2)
    assert [internals.trial_id_of(trial) for trial in some] == [1, 3]


def test_a_parameter_is_written_within_what_is_put_around_it(tmp_path: Path) -> None:
    class Refusing(internals.ReadableStorage):
        def writing_a_parameter(self, trial_id: int) -> Any:
            raise PermissionError(f"trial {trial_id}")

    refusing = Refusing(f"sqlite:///{tmp_path / 'studies.db'}")
    optuna_study = optuna.create_study(storage=refusing)
    internals.use_storage(optuna_study, refusing)
    with pytest.raises(PermissionError, match="trial 1"):
        optuna_study.ask().suggest_float("learning_rate", 0.0, 1.0)


def test_a_study_is_listed_as_optuna_lists_it(
    optuna_study: optuna.Study, optuna_storage: internals.ReadableStorage
) -> None:
    (listed,) = optuna_storage.get_all_studies()
    ours = internals.frozen_study(1, "one", optuna_study.directions, {"author": "somebody"}, {"group": 3})
    assert (ours, internals.study_id_of(ours)) == (listed, 1)


def test_a_cache_is_given_no_other_cache(optuna_storage: internals.ReadableStorage) -> None:
    cached = internals.CachedStorage(optuna_storage)
    assert optuna.storages.get_storage(cached) is cached
    assert isinstance(optuna.storages.get_storage(optuna_storage), internals.CachedStorage)


def test_an_inconsistent_trial_is_told() -> None:
    trial = optuna.trial.create_trial(value=1.0)
    internals.check_consistency(trial)
    trial.values = None
    with pytest.raises(ValueError, match="value"):
        internals.check_consistency(trial)


def test_what_a_distribution_contains_is_told_of_stored_numbers() -> None:
    assert internals.contains(CHOICE, 1)
    assert not internals.contains(CHOICE, 2)
    assert internals.contains(FloatDistribution(0.0, 1.0), 0.5)
    assert not internals.contains(FloatDistribution(0.0, 1.0), 1.5)


def test_the_points_of_a_grid_are_in_the_order_that_stock_visits_them_in() -> None:
    grid: dict[str, list[Any]] = {"optimizer": ["Adam", "SGD"], "batch_size": [64, 128]}
    points = internals.grid_points(GridSampler(grid))
    optuna_study = optuna.create_study(sampler=GridSampler(grid, seed=0))

    def objective(trial: optuna.Trial) -> float:
        for name, choices in grid.items():
            trial.suggest_categorical(name, choices)
        return 0.0

    optuna_study.optimize(objective)
    visited = {trial.system_attrs["grid_id"]: trial.params for trial in optuna_study.trials}
    assert [visited[grid_id] for grid_id in range(4)] == points


def test_a_study_reads_through_what_it_is_given_for_a_while(optuna_study: optuna.Study) -> None:
    class Told:
        def __init__(self, stored: Any) -> None:
            self.stored, self.asked = stored, 0

        def __getattr__(self, name: str) -> Any:
            self.asked += 1
            return getattr(self.stored, name)

    told = Told(optuna_study._storage)
    with internals.reading_through(optuna_study, told):
        assert len(optuna_study.trials) == 3
    asked = told.asked
    assert asked > 0
    assert len(optuna_study.trials) == 3
    assert told.asked == asked


def test_a_begun_trial_draws_from_the_trials_that_it_is_shown(optuna_study: optuna.Study) -> None:
    class Shown(TPESampler):
        def sample_independent(self, optuna_study: Any, *_: Any) -> Any:
            seen.append([one.number for one in optuna_study._get_trials(deepcopy=False, use_cache=True)])
            return 0.05

    seen: list[list[int]] = []
    optuna_study.sampler = Shown()
    shown = optuna_study.get_trials(deepcopy=False)[:1]
    trial = internals.begun_trial(optuna_study, 3, shown)
    assert (trial.number, trial.suggest_float("momentum", 0.0, 1.0)) == (2, 0.05)
    assert seen == [[0]]


def test_samplers_take_pruned_trials_for_complete_ones(optuna_study: optuna.Study) -> None:
    states = (TrialState.COMPLETE,)
    shown = internals.WithPruned(optuna_study)._get_trials(states=states)
    assert [(trial.number, trial.state) for trial in shown] == [
        (0, TrialState.COMPLETE),
        (1, TrialState.COMPLETE),
    ]
    assert optuna_study.get_trials(states=(TrialState.PRUNED,)) != []


def test_cma_es_neither_stores_nor_reads_a_pickle(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a pickle")

    monkeypatch.setattr(pickle, "loads", refuse)
    monkeypatch.setattr(pickle, "dumps", refuse)
    ranges: dict[str, Any] = {"x": FloatDistribution(0.0, 1.0), "y": FloatDistribution(0.0, 1.0)}
    sampler = internals.RetoldCmaEsSampler(ranges, seed=0, n_startup_trials=1)
    optuna_study = optuna.create_study(sampler=sampler, direction="maximize")
    optuna_study.optimize(
        lambda trial: sum(trial.suggest_float(name, 0.0, 1.0) for name in ranges), n_trials=15
    )
    generations = [trial.system_attrs.get("cma:generation", 0) for trial in optuna_study.trials]
    assert max(generations) >= 2


def test_a_trial_is_in_its_bracket_by_its_attribute() -> None:
    pruner = internals.BracketHyperbandPruner(0, "cell", min_resource=1, max_resource=27, reduction_factor=3)
    optuna_study = optuna.create_study(pruner=pruner)
    trials = [optuna.trial.create_trial(value=0.0, system_attrs={"cell": cell}) for cell in range(40)]
    brackets = [pruner._get_bracket_id(optuna_study, trial) for trial in trials]
    assert set(brackets) == {0, 1, 2, 3}
    again = optuna.trial.create_trial(value=0.0, system_attrs={"cell": 7})
    again.number = 99
    other = optuna.create_study(study_name="other", pruner=pruner)
    assert pruner._get_bracket_id(other, again) == brackets[7]
