"""[limits], [lease] and [retry] of a stored study can be changed, also while it runs; nothing else can."""

from __future__ import annotations

from pathlib import Path

import pytest
from optuna.trial import TrialState
from sqlalchemy import orm

from mnist_tune.contract.study import WorkerFacts
from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.failures import Failure
from mnist_tune.queue.cells import lock_study
from mnist_tune.queue.worker_registry import Registration
from mnist_tune.results.reading import read_results
from mnist_tune.spec.growth import Growth
from mnist_tune.study.extend import extend_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.settings import change_settings, parse_changes
from mnist_tune.study.store import create_study, open_study
from mnist_tune.verification import verify
from mnist_tune.worker.loop import Ended
from mnist_tune.worker.trial import Trial
from tests.support.commands import Command, run_command
from tests.support.specs import ONE_CELL, TINY_SPEC, lease_lines, tiny_spec, write_spec
from tests.support.studies import new_study, opened_again, states, take, work
from tests.support.waiting import wait_until

LOST = Failure("lost", "the worker died")


def set_(study: OpenStudy, *changes: str) -> None:
    """Change settings of the study."""
    change_settings(study, parse_changes(changes))


def test_set_says_what_holds_and_from_when(tmp_path: Path, command: Command) -> None:
    study = new_study(tmp_path)
    answer = command("set", study.name, "limits.timeout=3600", "retry.lost=-1")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines() == [
        "limits.timeout is 3600",
        "retry.lost is -1",
        "running workers take [limits] up with their next trial",
        "[retry] holds from the next failure on; 'mnist-tune retry' puts back what has failed for good",
    ]
    changed = opened_again(study).spec
    assert (changed.limits.timeout, changed.retry.lost) == (3600.0, -1)
    assert changed.training == study.spec.training
    assert "settings: retry.lost=-1, limits.timeout=3600" in command("status", study.name).out.splitlines()
    assert command("status", study.name, "--json").json["settings"]["limits"]["timeout"] == 3600
    in_json = command("set", study.name, "limits.timeout=60", "--json").json
    assert (in_json["settings"], len(in_json["taken_up"])) == ({"limits.timeout": 60.0}, 1)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("training.epochs=3", "set: training.epochs cannot be changed: the study's numbers depend on it"),
        ("study.name=other", "set: study.name cannot be changed"),
        ("limits.timout=3", "set: limits.timout: unknown key; did you mean 'timeout'?"),
        ("limits.timeout=soon", "set: limits.timeout: "),
        ("limits.timeout=-1", "set: limits.timeout: "),
        ("limits.timeout=nan", "set: limits.timeout: "),
        ("retry.lost=1.5", "set: retry.lost: "),
        ("lease.grace_period=1", "set: lease.grace_period: must be at least 3 heartbeat intervals (30)"),
        ("limits.timeout", "set: 'limits.timeout' is no change; write limits.timeout=3600"),
        ("limits=3", "set: limits is a table; name a field of it: limits.timeout, "),
        ("limits.timeout.more=3", "set: "),
        ("limits.=3", "set: limits is a table; name a field of it: limits.timeout, "),
    ],
)
def test_what_cannot_be_set_gets_one_line_and_changes_nothing(
    tmp_path: Path, command: Command, change: str, complaint: str
) -> None:
    study = new_study(tmp_path)
    answer = command("set", study.name, "retry.lost=9", change)
    assert (answer.code, answer.out, len(answer.err.splitlines())) == (2, "", 1)
    assert answer.err.startswith(f"mnist-tune: {complaint}")
    assert opened_again(study).spec == study.spec


def test_set_takes_the_former_name_of_a_field_and_says_its_name_now(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    done = run_command("set", study.name, "lease.patience=60", folder=tmp_path)
    assert done.stdout.startswith("lease.storage_timeout is 60\n")
    assert done.stderr == "mnist-tune: lease.patience is called lease.storage_timeout now; write that\n"


def test_a_running_worker_takes_limits_up_with_its_next_trial(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    queue = study.queue()
    assert take(queue).limits.timeout == 86_400
    set_(opened_again(study), "limits.timeout=5")
    assert take(queue).limits.timeout == 5


def test_a_running_worker_goes_by_the_retry_budget_of_the_moment(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    queue = study.queue()
    claim = take(queue)
    set_(opened_again(study), "retry.lost=0")
    assert queue.give_back(claim, LOST)
    assert len(read_results(study).holes) == 1
    claim = take(queue)
    set_(opened_again(study), "retry.lost=1")
    assert queue.give_back(claim, LOST)
    assert len(read_results(study).holes) == 1


def test_budgets_that_were_changed_break_no_promise(tmp_path: Path) -> None:
    study = new_study(tmp_path, TINY_SPEC + "\n[retry]\nlost = 0\n")
    queue = study.queue()
    assert queue.give_back(take(queue), LOST)  # a hole
    set_(opened_again(study), "retry.lost=5")
    assert queue.give_back(take(queue), LOST)  # put back
    set_(opened_again(study), "retry.lost=0")
    checked = verify(study.storage, study.name, tmp_path, tmp_path)
    assert "keeps every promise" in checked.verdict


@pytest.mark.parametrize("text", ['{"study": 1}', "[" * 100_000, "{", 5], ids=["table", "deep", "cut", "int"])
def test_a_damaged_spec_leaves_a_running_worker_with_what_it_had(tmp_path: Path, text: str | int) -> None:
    study = new_study(tmp_path)
    queue = study.queue()
    take(queue)
    update = "UPDATE study_user_attributes SET value_json = ? WHERE key = 'mnist_tune:spec'"
    with study.storage.transaction() as session:
        session.connection().exec_driver_sql(update, (text,))
    assert take(queue).limits == study.spec.limits
    with pytest.raises(MnistTuneError, match="the spec of study 'tiny' has been damaged meanwhile: "):
        set_(study, "limits.timeout=5")


def test_the_original_file_is_not_refused_for_settings_alone(tmp_path: Path, command: Command) -> None:
    study = new_study(tmp_path)
    set_(study, "limits.timeout=3600")
    answer = command("create-study", str(write_spec(tmp_path)))
    assert answer.code == 0
    assert answer.err == (
        "note: the study keeps its own settings: limits.timeout is 3600.0 there and 86400.0 here; "
        "change them with mnist-tune set\n"
    )
    assert opened_again(study).spec.limits.timeout == 3600
    other = tiny_spec(tmp_path, TINY_SPEC.replace("fp32", "bf16"))
    with pytest.raises(UserError, match=r"another spec: training.precision is fp32 there and bf16 here;"):
        create_study(study.storage, other)


def test_a_lease_that_would_have_workers_fail_each_other_waits_until_they_have_left(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    registration = Registration(study.storage, study.study_id, WorkerFacts.of_this_process("cpu"))
    registration.register()
    for change in (
        ["lease.heartbeat_interval=30", "lease.grace_period=100"],
        ["lease.heartbeat_interval=1", "lease.grace_period=5"],
    ):
        with pytest.raises(UserError, match="set: 1 worker on this study would be taken for dead"):
            set_(study, *change)
    set_(study, "lease.grace_period=90")
    registration.leave("enough")
    set_(study, "lease.heartbeat_interval=1", "lease.grace_period=5")
    assert open_study(study.storage, study.name).spec.lease.grace_period == 5


def test_a_worker_goes_by_the_lease_that_the_study_was_given_while_the_worker_began(tmp_path: Path) -> None:
    study = new_study(tmp_path, ONE_CELL + lease_lines(1_000.0, 3_000.0))
    beginning = opened_again(study)  # by the lease of before
    set_(study, "lease.heartbeat_interval=0.05")

    def beats() -> list[str]:
        with study.storage.transaction() as session:
            return list(
                session.connection().exec_driver_sql("SELECT heartbeat FROM trial_heartbeats").scalars()
            )

    def until_it_has_beaten(_: Trial) -> float:
        first = beats()
        wait_until(lambda: beats() != first)
        return 50.0

    assert work(beginning, until_it_has_beaten) is Ended.FINISHED
    assert states(study) == [TrialState.COMPLETE]


def test_a_worker_that_comes_at_the_last_moment_before_a_change_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = new_study(tmp_path)
    other = opened_again(study)

    def locked_after_another_came(session: orm.Session, study_id: int) -> None:
        assert (
            Registration(other.storage, study_id, WorkerFacts.of_this_process("cpu")).register()
            == study.spec.lease
        )
        lock_study(session, study_id)

    monkeypatch.setattr("mnist_tune.study.settings.lock_study", locked_after_another_came)
    with pytest.raises(UserError, match="set: 1 worker on this study would be taken for dead"):
        set_(study, "lease.heartbeat_interval=1", "lease.grace_period=5")


def test_a_study_that_has_grown_keeps_its_cells_when_a_setting_is_changed(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    extend_study(study, Growth(values={"learning_rate": [0.01]}), "0" * 32)
    grown = opened_again(study).spec
    set_(opened_again(study), "limits.timeout=60")
    now = opened_again(study).spec
    assert now.search == grown.search
    assert now.limits.timeout == 60
    assert not verify(study.storage, study.name, tmp_path, tmp_path).broken
