"""What we rely on in Optuna's private parts for storing; these tests fail first when a part changes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
import pytest
from alembic.script import ScriptDirectory
from optuna.artifacts import FileSystemArtifactStore, get_all_artifact_meta, upload_artifact
from optuna.trial import TrialState
from sqlalchemy import orm, select

from mnist_tune.storage import optuna_internals as internals


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
        optuna_storage.get_current_version()
        == ScriptDirectory(str(internals.ALEMBIC_FOLDER)).get_current_head()
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
