"""A database that version 0.5.0 made opens, with settings that no study may have by now.

`made_by_0.5.0.sql` is one: its workers wait for ever, beat every millisecond and count to a million million.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from optuna.trial import TrialState

from mnist_tune.errors import Damaged
from mnist_tune.jobs.hyperparameters import MOST
from mnist_tune.search.history import LearntFrom
from mnist_tune.spec.sections import FORMER_NAMES
from mnist_tune.spec.stored import as_stored_spec
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.store import open_study
from tests.support.commands import Command
from tests.support.specs import tiny_spec
from tests.support.studies import open_file, take


@pytest.fixture
def database_of_0_5_0(tmp_path: Path) -> OpenStudy:
    """The study of version 0.5.0: one cell of two is complete."""
    connection = sqlite3.connect(tmp_path / "studies.db")
    connection.executescript((Path(__file__).parent / "made_by_0.5.0.sql").read_text(encoding="utf-8"))
    connection.close()
    return open_study(open_file(tmp_path), "tiny")


def test_settings_that_are_out_of_bounds_by_now_are_at_their_bounds(database_of_0_5_0: OpenStudy) -> None:
    spec = database_of_0_5_0.spec
    assert spec.lease.model_dump() == {
        "heartbeat_interval": 0.01,
        "grace_period": 0.03,
        "storage_timeout": 1e9,
    }
    assert (spec.retry.lost, spec.retry.preempted, spec.retry.exception) == (MOST, 0, 3)
    assert (spec.limits.timeout, spec.limits.failures_in_a_row) == (1e9, MOST)
    assert take(database_of_0_5_0.queue()).limits == spec.limits


def test_a_sampler_learns_from_it(database_of_0_5_0: OpenStudy) -> None:
    learnt = LearntFrom(database_of_0_5_0.storage, database_of_0_5_0.study_id).get_all_trials()
    assert [trial.value for trial in learnt if trial.state is TrialState.COMPLETE] == [96.5]


def test_every_command_takes_it(database_of_0_5_0: OpenStudy, command: Command) -> None:
    shown = command("status", "tiny", "--json")
    assert (shown.code, shown.err) == (0, "")
    assert shown.json["ranking"][0]["mean"] == 96.5
    verified = command("verify", "tiny")
    assert (verified.code, verified.err) == (0, "")
    assert command("set", "tiny", "lease.storage_timeout=60", "limits.timeout=30").code == 0
    changed = open_study(database_of_0_5_0.storage, "tiny").spec
    assert (changed.lease.storage_timeout, changed.limits.timeout, changed.retry.lost) == (60.0, 30.0, MOST)


def test_a_lease_without_an_end_still_has_three_heartbeats_in_it(tmp_path: Path) -> None:
    document = tiny_spec(tmp_path).document()
    document["lease"] = {"heartbeat_interval": float("inf"), "grace_period": float("inf"), "patience": 1.0}
    assert as_stored_spec(document).lease.grace_period == 1e9


@pytest.mark.parametrize(
    ("key", "value"), [("patience", float("nan")), ("patience", -1.0), ("patience", "inf"), ("patients", 1.0)]
)
def test_what_no_version_took_is_damage(tmp_path: Path, key: str, value: object) -> None:
    document = tiny_spec(tmp_path).document()
    document["lease"] = {key: value}
    with pytest.raises(Damaged, match=f"lease.{FORMER_NAMES.get(key, key)}: "):
        as_stored_spec(document)
