"""`verify`: each broken promise is found by its own check, and a study that keeps them all has none."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy
import pytest
from safetensors.numpy import save

from mnist_tune.errors import UserError
from mnist_tune.failures import Failure
from mnist_tune.files.checkpoints import CheckpointFolder, checkpoint_key
from mnist_tune.files.checkpoints import save as save_checkpoint
from mnist_tune.queue.queue import Claim
from mnist_tune.storage.artifacts import ArtifactFolder, upload
from mnist_tune.storage.engine import storage_url
from mnist_tune.storage.guarded import open_storage
from mnist_tune.storage.keys import CHECKPOINT, ENVIRONMENT, HISTORY, UID
from mnist_tune.study.delete import delete_study
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.study.retry import put_back_holes
from mnist_tune.study.store import create_study, open_study
from mnist_tune.verification import CHECKS, Verification, verify
from tests.support.commands import STORED, Command, finish, start_toy_worker
from tests.support.postgres_server import postgres_server
from tests.support.specs import TINY_SPEC, tiny_spec
from tests.support.studies import epoch, new_study, open_file

SAMPLED_SPEC = """
[study]
name = "tiny"

[search]
sampler = "random"
n_trials = 3

[search.space]
learning_rate = {low = 1e-5, high = 1e-2, log = true}
optimizer = ["Adam", "SGD"]

[training]
epochs = 2
"""
# Its running trial has no worker, and must not seem lost however long the tests take.
PATIENT_SPEC = TINY_SPEC + "\n[lease]\ngrace_period = 86400.0\n"
ARTIFACTS, CHECKPOINTS = "studies.db.artifacts", "studies.db.checkpoints"


class CellsByHand:
    """Works off cells of a new study by hand, through the queue."""

    def __init__(self, folder: Path, text: str) -> None:
        self.study = new_study(folder, text)
        self.queue = self.study.queue()
        uid = self.study.storage.get_study_user_attrs(self.study.study_id)[UID]
        self.checkpoints = CheckpointFolder(folder / CHECKPOINTS / uid)
        self.artifacts = ArtifactFolder(folder / ARTIFACTS)

    def claim(self) -> Claim:
        claim = self.queue.claim("host:1")
        assert claim is not None
        return claim

    def train(self, claim: Claim, epochs: int) -> None:
        """Store so many epochs and a checkpoint after the last."""
        reports = {number: 90.0 + number for number in range(1, epochs + 1)}
        history = [asdict(epoch(number, accuracy)) for number, accuracy in reports.items()]
        checkpoint = save_checkpoint(
            self.checkpoints, checkpoint_key(claim.trial_id, claim.token, epochs), epochs, b"weights"
        )
        self.queue.record(
            claim,
            user={ENVIRONMENT: {"device": "cpu"}, HISTORY: history},
            system={CHECKPOINT: asdict(checkpoint)},
            reports=reports,
        )

    def complete(self, claim: Claim) -> None:
        """Run the cell to its end, as the real job does."""
        self.train(claim, 2)
        model = save({"weights": numpy.zeros((10, 10), dtype="float32")})
        files = {"model.safetensors": model, "log.txt": b"complete\n"}
        self.queue.complete(claim, 92.0, system=upload(self.artifacts, claim.token, files))


@pytest.fixture(scope="session")
def grid_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grid with everything that can become of a cell: trial 0 was lost and is complete as trial 8, 1 is a
    hole, 2 to 4 are complete, 5 is so by another job, 6 was stopped and waits as trial 9, 7 runs.
    """
    folder = tmp_path_factory.mktemp("grid")
    build = CellsByHand(folder, PATIENT_SPEC)
    for number in range(8):
        claim = build.claim()
        if number in (0, 6):
            build.train(claim, 1)
            kind, reason = ("lost", "no heartbeat") if number == 0 else ("preempted", "stopped")
            build.queue.give_back(claim, Failure(kind, reason))  # type: ignore[arg-type]
        elif number == 1:
            build.queue.give_back(claim, Failure("non_finite", "training loss is nan in epoch 1"))
        elif number == 5:
            build.queue.record(claim, reports={1: 41.0})
            build.queue.complete(claim, 41.0)
        elif number == 7:
            build.train(claim, 1)
        else:
            build.complete(claim)
    build.complete(build.claim())
    build.study.storage.engine.dispose()
    return folder


@pytest.fixture(scope="session")
def sampled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sampled search: trial 0 failed and waits as trial 3, 1 is complete, 2 has no parameters yet."""
    folder = tmp_path_factory.mktemp("sampled")
    build = CellsByHand(folder, SAMPLED_SPEC)
    guide = build.study.guide()
    failing, completing = build.claim(), build.claim()
    for claim in (failing, completing):
        guide.parameters(claim)
    build.queue.give_back(failing, Failure("exception", "it broke"))
    build.complete(completing)
    build.study.storage.engine.dispose()
    return folder


@pytest.fixture
def grid(grid_folder: Path, tmp_path: Path) -> Path:
    """A copy of that grid."""
    return shutil.copytree(grid_folder, tmp_path, dirs_exist_ok=True)


@pytest.fixture
def sampled(sampled_folder: Path, tmp_path: Path) -> Path:
    """A copy of that search."""
    return shutil.copytree(sampled_folder, tmp_path / "sampled")


def verify_folder(folder: Path) -> Verification:
    return verify(open_file(folder), "tiny", folder / ARTIFACTS, folder / CHECKPOINTS)


def findings_by_check(verification: Verification) -> dict[str, list[str]]:
    """What each check found, by its name; those that found nothing are left out."""
    return {
        outcome.check: [str(finding) for finding in outcome.findings]
        for outcome in verification.outcomes
        if outcome.findings
    }


def change_database(folder: Path, statement: str) -> None:
    with sqlite3.connect(folder / STORED) as connection:
        assert connection.execute(statement).rowcount > 0, "the statement changes nothing"
    connection.close()


def database_content(folder: Path) -> list[str]:
    with sqlite3.connect(folder / STORED) as connection:
        return list(connection.iterdump())


def test_a_study_that_keeps_every_promise_has_no_findings(grid: Path, sampled: Path) -> None:
    verification = verify_folder(grid)
    assert findings_by_check(verification) == {}
    assert verification.verdict == (
        "study 'tiny' keeps every promise: 8 cells (5 complete, 1 failed, 1 waiting, 1 running), "
        "10 attempts (1 lost, 1 non_finite, 1 preempted)"
    )
    # Each check had something to look at: none is clean for want of it.
    assert [outcome.check for outcome in verification.outcomes if not outcome.checked] == ["pruning"]
    assert findings_by_check(verify_folder(sampled)) == {}


def set_user_attribute(number: int, key: str, value: str) -> str:
    """Give trial `number` of the only study this user attribute; `value` is SQL."""
    return set_attribute("trial_user_attributes", number, key, value)


def set_system_attribute(number: int, key: str, value: str) -> str:
    """Give trial `number` of the only study this system attribute; `value` is SQL."""
    return set_attribute("trial_system_attributes", number, f"mnist_tune:{key}", value)


def set_attribute(table: str, number: int, key: str, value: str) -> str:
    return f"UPDATE {table} SET value_json = {value} WHERE trial_id = {number + 1} AND key = '{key}'"


def set_in_spec(key: str, value: str) -> str:
    """Give the stored spec another value."""
    changed = f"json_set(value_json, '$.{key}', {value})"
    return f"UPDATE study_user_attributes SET value_json = {changed} WHERE key = 'mnist_tune:spec'"


LONG_TEXT = "hex(zeroblob(33000))"
LAST_EPOCH_TWICE = "json_insert(value_json, '$[#]', json_extract(value_json, '$[1]'))"
IN_THE_GRID = [
    ("spec", set_in_spec("training.epoch", "3"), "the stored spec: training.epoch: unknown key"),
    ("spec", set_in_spec("study", "'{'"), "the stored spec: study: should be a"),
    ("trials", set_user_attribute(3, "history", "'[{'"), "trial 3: cannot be read: JSONDecodeError"),
    ("trials", "UPDATE trials SET state = 'LOST' WHERE number = 3", "trial 3: cannot be read: LookupError"),
    (
        "control",
        "INSERT INTO study_user_attributes SELECT 99, study_id, 'mnist_tune:control', '\"off\"' FROM studies",
        "the study's control is 'off'; it should be one of running, paused, cancelled",
    ),
    ("numbers", "UPDATE trials SET number = 20 WHERE number = 9", "trial 20, cell 6: a trial before it"),
    (
        "parameters",
        "UPDATE trial_params SET param_value = 1 - param_value "
        "WHERE trial_id = 4 AND param_name = 'optimizer'",
        "trial 3, cell 3: optimizer is",
    ),
    (
        "parameters",
        "UPDATE trial_system_attributes SET value_json = '7' WHERE trial_id = 4 AND key = 'grid_id'",
        "trial 3, cell 3: grid_id is 7; it should be 3",
    ),
    (
        "parameters",
        """UPDATE trial_params SET distribution_json = replace(distribution_json, '64', '32')
        WHERE trial_id = 4 AND param_name = 'batch_size' AND param_value = 1""",
        "trial 3, cell 3: the values to choose from are not the spec's",
    ),
    (
        "order",
        "UPDATE trials SET state = 'RUNNING', datetime_complete = NULL WHERE number = 0",
        "trial 8, cell 0: the attempt before it, trial 0, is RUNNING",
    ),
    (
        "budgets",
        set_user_attribute(1, "failure", """'{"class": "preempted", "reason": "stopped"}'"""),
        "trial 1, cell 1: nobody will try the cell again, though the budget of retry.preempted = -1",
    ),
    (
        "budgets",
        set_in_spec("retry.lost", "0"),
        "trial 0, cell 0: the cell was tried again, though the budget of retry.lost = 0 is spent",
    ),
    (
        "failure counts",
        set_system_attribute(8, "failures", "'{}'"),
        "trial 8, cell 0: has {} for failures so far, but there were {'lost': 1}",
    ),
    (
        "failure counts",
        set_system_attribute(8, "failures", """'{"lost": 2}'"""),
        "trial 8, cell 0: has {'lost': 2} for failures so far, but there were {'lost': 1}",
    ),
    (
        "pruning",
        "UPDATE trials SET state = 'PRUNED' WHERE number = 3",
        "trial 3, cell 3: was pruned, but the spec has no [pruner]",
    ),
    (
        "states",
        "UPDATE trials SET datetime_complete = NULL WHERE number = 3",
        "trial 3, cell 3: `datetime_complete` is supposed to be set",
    ),
    (
        "states",
        "UPDATE trials SET datetime_start = NULL WHERE number = 7",
        "trial 7, cell 7: `datetime_start`",
    ),
    ("states", "DELETE FROM trial_values WHERE trial_id = 4", "trial 3, cell 3: values should be set"),
    (
        "reasons",
        "DELETE FROM trial_user_attributes WHERE trial_id = 1 AND key = 'failure'",
        "trial 0, cell 0: failed without a reason",
    ),
    (
        "reasons",
        set_user_attribute(0, "failure", """'{"class": "laziness", "reason": "too warm"}'"""),
        "trial 0, cell 0: failed for a reason of an unknown class",
    ),
    (
        "reasons",
        set_user_attribute(0, "failure", """'{"class": "lost"}'"""),
        "trial 0, cell 0: failed as 'lost' without a",
    ),
    (
        "claims",
        "DELETE FROM trial_user_attributes WHERE trial_id = 4 AND key = 'worker'",
        "trial 3, cell 3: is COMPLETE, but has no worker",
    ),
    (
        "claims",
        "DELETE FROM trial_system_attributes WHERE trial_id = 8 AND key = 'mnist_tune:claim'",
        "trial 7, cell 7: is RUNNING, but has no claim",
    ),
    (
        "claims",
        "INSERT INTO trial_system_attributes VALUES (999, 10, 'mnist_tune:claim', '\"ab\"')",
        "trial 9, cell 6: waits, but has a claim",
    ),
    (
        "claim tokens",
        "UPDATE trial_system_attributes SET value_json = '\"ab\"' "
        "WHERE key = 'mnist_tune:claim' AND trial_id IN (4, 5)",
        "trial 3, cell 3: another trial has the same claim",
    ),
    ("heartbeats", "DELETE FROM trial_heartbeats WHERE trial_id = 8", "trial 7, cell 7: runs without a"),
    (
        "values",
        "UPDATE trial_values SET value = 92.5 WHERE trial_id = 4",
        "trial 3, cell 3: its value is 92.5, but its last epoch had 92.0",
    ),
    (
        "values",
        "UPDATE trial_values SET value = NULL, value_type = 'INF_POS' WHERE trial_id = 4",
        "trial 3, cell 3: its value is [inf]",
    ),
    (
        "histories",
        set_user_attribute(3, "history", LAST_EPOCH_TWICE),
        "trial 3, cell 3: its history has the epochs [1, 2, 2]",
    ),
    ("histories", set_in_spec("training.epochs", "3"), "trial 8, cell 0: its history has 2 epochs of 3"),
    (
        "histories",
        "DELETE FROM trial_user_attributes WHERE trial_id = 4 AND key = 'history'",
        "trial 3, cell 3: its history has 0 epochs of 2",
    ),
    (
        "reports",
        "DELETE FROM trial_intermediate_values WHERE trial_id = 4 AND step = 1",
        "trial 3, cell 3: its reports are {2: 92.0}, but its history has {1: 91.0, 2: 92.0}",
    ),
    (
        "reports",
        "UPDATE trial_intermediate_values SET intermediate_value = 17 WHERE trial_id = 8",
        "trial 7, cell 7: its reports are {1: 17.0}, but",
    ),
    (
        "attribute sizes",
        set_user_attribute(0, "failure", f"json_set(value_json, '$.reason', {LONG_TEXT})"),
        "trial 0, cell 0: 'failure' has 66,0",
    ),
    (
        "passwords",
        set_user_attribute(3, "worker", "'\"postgresql://tuner:pass%word@host/studies\"'"),
        "trial 3, cell 3: 'worker' holds a URL with a password",
    ),
    (
        "passwords",
        set_user_attribute(3, "worker", "'\"see postgresql://host/studies?user=a&password=pass%word\"'"),
        "trial 3, cell 3: 'worker' holds a URL with a password",
    ),
]
IN_THE_SAMPLED_SEARCH = [
    ("cells", set_system_attribute(2, "cell", "'9'"), "cell 2: no trial is for this cell"),
    (
        "parameters",
        "UPDATE trial_params SET distribution_json = replace(distribution_json, '1e-05', '1e-06') "
        "WHERE trial_id = 2 AND param_name = 'learning_rate'",
        "trial 1, cell 1: learning_rate was not sampled from what the spec says",
    ),
    (
        "parameters",
        "DELETE FROM trial_params WHERE trial_id = 2 AND param_name = 'learning_rate'",
        "trial 1, cell 1: learning_rate was never sampled",
    ),
    (
        "retried parameters",
        "UPDATE trial_params SET param_value = 0.005 WHERE trial_id = 4 AND param_name = 'learning_rate'",
        "trial 3, cell 0: learning_rate is 0.005; it should be",
    ),
    (
        "retried parameters",
        "UPDATE trial_system_attributes SET value_json = '{}' WHERE trial_id = 4 AND key = 'fixed_params'",
        "trial 3, cell 0: fixed_params is {}; it should be",
    ),
    (
        "states",
        "UPDATE trial_params SET param_value = 5 WHERE trial_id = 2 AND param_name = 'learning_rate'",
        "trial 1, cell 1: The value 5.0 of parameter 'learning_rate' isn't contained",
    ),
]


@pytest.mark.parametrize(("check", "statement", "says"), IN_THE_GRID)
def test_exactly_the_check_of_a_broken_promise_reports_it(
    grid: Path, check: str, statement: str, says: str
) -> None:
    change_database(grid, statement)
    findings = findings_by_check(verify_folder(grid))
    assert list(findings) == [check]
    assert findings[check][0].startswith(says)
    assert "pass%word" not in str(findings)


@pytest.mark.parametrize(("check", "statement", "says"), IN_THE_SAMPLED_SEARCH)
def test_exactly_the_check_of_a_promise_of_sampled_searches_reports_it(
    sampled: Path, check: str, statement: str, says: str
) -> None:
    change_database(sampled, statement)
    findings = findings_by_check(verify_folder(sampled))
    assert list(findings) == [check]
    assert findings[check][0].startswith(says)


def model_of(folder: Path) -> Path:
    return max((folder / ARTIFACTS).iterdir(), key=lambda path: path.stat().st_size)


def log_of(folder: Path) -> Path:
    return min((folder / ARTIFACTS).iterdir(), key=lambda path: path.stat().st_size)


def replace_with_a_pipe(folder: Path) -> None:
    log = log_of(folder)
    log.unlink()
    os.mkfifo(log)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda folder: log_of(folder).unlink(), "log.txt is missing"),
        (lambda folder: log_of(folder).write_bytes(b""), "log.txt is empty"),
        (
            lambda folder: model_of(folder).write_bytes(model_of(folder).read_bytes()[:-1]),
            "not fully covered",
        ),
        (lambda folder: model_of(folder).write_bytes(b"a model"), "model.safetensors is damaged"),
        (replace_with_a_pipe, "log.txt cannot be read"),
    ],
)
def test_a_file_that_is_missing_or_damaged_is_found(
    grid: Path, damage: Callable[[Path], None], says: str
) -> None:
    damage(grid)
    findings = findings_by_check(verify_folder(grid))
    assert list(findings) == ["files"]
    assert says in findings["files"][0]


@pytest.mark.parametrize(
    ("check", "change", "says"),
    [
        (
            "times",
            lambda folder: change_database(
                folder, "UPDATE trials SET datetime_complete = '2001-01-01 00:00:00.000000' WHERE number = 3"
            ),
            "trial 3, cell 3: ends at 2001-01-01 00:00:00 UTC, before its start",
        ),
        (
            "times",
            lambda folder: change_database(
                folder, "UPDATE trials SET datetime_start = '2001-01-01 00:00:00.000000' WHERE number = 8"
            ),
            "trial 8, cell 0: begins at 2001-01-01 00:00:00 UTC, before the end of the attempt before it",
        ),
        (
            "signs of life",
            lambda folder: change_database(
                folder, "UPDATE trial_heartbeats SET heartbeat = '2001-01-01 00:00:00'"
            ),
            "trial 7, cell 7: no heartbeat for",
        ),
        (
            "kept files",
            lambda folder: change_database(
                folder, "DELETE FROM trial_system_attributes WHERE key LIKE 'artifacts:%'"
            ),
            "no file of it was kept",
        ),
        (
            "artifact folder",
            lambda folder: shutil.rmtree(folder / ARTIFACTS),
            "is not here: no file was checked",
        ),
        (
            "files elsewhere",
            lambda folder: [path.unlink() for path in (folder / ARTIFACTS).iterdir()],
            "but where host put them: name that folder with --artifacts",
        ),
        (
            "checkpoints",
            lambda folder: [path.write_bytes(b"rubbish") for path in (folder / CHECKPOINTS).glob("*/7-*")],
            "trial 9, cell 6: the checkpoint",
        ),
        (
            "other trials",
            lambda folder: open_study(open_file(folder), "tiny").optuna_study().enqueue_trial({}),
            "trial 10: is not a trial of ours",
        ),
    ],
)
def test_what_is_worth_knowing_but_breaks_no_promise_is_a_remark(
    grid: Path, check: str, change: Callable[[Path], Any], says: str
) -> None:
    change(grid)
    verification = verify_folder(grid)
    findings = findings_by_check(verification)
    assert list(findings) == [check]
    assert says in findings[check][0]
    assert not verification.broken


A_PATH = """'"/etc/hostname"'"""


@pytest.mark.parametrize(
    ("check", "statement", "says"),
    [
        (
            "uid",
            f"UPDATE study_user_attributes SET value_json = {A_PATH} WHERE key = 'mnist_tune:uid'",
            "the uid is '/etc/hostname', and not 32 hexadecimal digits",
        ),
        (
            "file names",
            set_system_attribute(9, "checkpoint", """json_set(value_json, '$.key', '../../precious')"""),
            "trial 9, cell 6: the key of a checkpoint is '../../precious', and not TRIAL-TOKEN-EPOCH.pt",
        ),
        (
            "file names",
            """UPDATE trial_system_attributes SET key = 'artifacts:/etc/hostname', value_json =
            '"{\\"artifact_id\\": \\"/etc/hostname\\", \\"filename\\": \\"log.txt\\", '
            || '\\"mimetype\\": \\"text/plain\\", \\"encoding\\": null}"'
            WHERE trial_id = 3 AND key LIKE 'artifacts:%' AND value_json LIKE '%log.txt%'""",
            "trial 2, cell 2: the id of an artifact is '/etc/hostname', and not a UUID",
        ),
    ],
)
def test_a_name_that_leads_elsewhere_is_found_and_not_followed(
    grid: Path, check: str, statement: str, says: str
) -> None:
    change_database(grid, statement)
    findings = findings_by_check(verify_folder(grid))
    assert findings[check] == [says]
    assert findings.keys() <= {check, "checkpoints"}  # there is none of that name


def test_every_check_has_a_test_above() -> None:
    tested = {check for check, _, _ in [*IN_THE_GRID, *IN_THE_SAMPLED_SEARCH]}
    others = {"files", "kept files", "signs of life", "artifact folder", "checkpoints", "other trials"}
    others |= {"uid", "file names", "files elsewhere", "times"}
    assert {check.name for check in CHECKS} == (tested | others) - {"spec", "trials"}


def test_a_damaged_page_of_the_database_is_found(grid: Path) -> None:
    with sqlite3.connect(grid / STORED) as connection:
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'study_directions'"
        ).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    with (grid / STORED).open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(bytes(size))
    findings = findings_by_check(verify_folder(grid))
    assert list(findings) == ["database"]


def test_a_hole_that_was_given_a_fresh_budget_is_clean(grid: Path) -> None:
    assert put_back_holes(open_study(open_file(grid), "tiny")).numbers == [1]
    assert findings_by_check(verify_folder(grid)) == {}


def test_what_has_a_shape_that_nobody_thought_of_is_a_finding_and_hides_no_other(grid: Path) -> None:
    change_database(grid, set_user_attribute(3, "history", "'\"none\"'"))
    change_database(grid, "DELETE FROM trial_heartbeats WHERE trial_id = 8")
    findings = findings_by_check(verify_folder(grid))
    assert findings["histories"][0].startswith("trial 3, cell 3: cannot be checked: TypeError")
    assert findings["heartbeats"] == [
        "trial 7, cell 7: runs without a heartbeat: any worker puts the cell back"
    ]


def test_a_trial_that_cannot_be_read_is_named_and_the_others_are_checked(grid: Path) -> None:
    change_database(grid, "UPDATE trials SET state = 'LOST' WHERE number = 3")
    change_database(grid, "DELETE FROM trial_heartbeats WHERE trial_id = 8")
    findings = findings_by_check(verify_folder(grid))
    assert list(findings) == ["trials", "heartbeats"]
    assert findings["trials"][0].startswith("trial 3: cannot be read: LookupError")
    assert findings["heartbeats"][0].startswith("trial 7, cell 7: runs without a heartbeat")


def test_a_value_that_no_promise_is_about_is_named_too(grid: Path) -> None:
    change_database(grid, set_user_attribute(3, "environment", "'[1]'"))
    assert findings_by_check(verify_folder(grid)) == {
        "other values": ["trial 3, cell 3: its environment should be an object, not a list"]
    }


def test_a_checkpoint_that_went_with_its_pointer_while_it_was_looked_for_is_no_remark(
    grid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_file(grid)
    study = open_study(storage, "tiny")
    (grid / CHECKPOINTS).rename(grid / "gone")
    assert list(findings_by_check(verify_folder(grid))) == ["checkpoints"]

    def completed_meanwhile(folder: CheckpointFolder, name: str) -> bytes:
        while claim := study.queue().claim("host:2"):
            study.queue().complete(claim, 41.0)
        change_database(grid, "UPDATE trials SET state = 'COMPLETE' WHERE number = 7")
        raise FileNotFoundError

    monkeypatch.setattr(CheckpointFolder, "read", completed_meanwhile)
    assert findings_by_check(verify_folder(grid)) == {}


def verified_while_it_runs(study: OpenStudy, folder: Path) -> int:
    """Verify while toy workers, one of which is killed, run the study; how many states were seen."""

    def verdict() -> str:
        verification = verify(study.storage, "tiny", folder / "artifacts", folder / "checkpoints")
        assert findings_by_check(verification).keys() <= {"signs of life"}  # the killed worker's
        return verification.verdict

    began = time.monotonic()
    verdict()
    # However busy this machine is, a run is looked at many times.
    seconds = 0.1 + 2 * (time.monotonic() - began)
    url = study.storage.engine.url.render_as_string(hide_password=False)
    workers = [start_toy_worker(folder, seconds=seconds, url=url) for _ in range(3)]
    verdicts = set()
    while any(worker.poll() is None for worker in workers):
        verdicts.add(verdict())
        if any("3 running" in seen for seen in verdicts):
            workers[0].kill()
    assert [finish(worker).returncode for worker in workers][1:] == [0, 0]
    assert f"{study.spec.n_cells} cells ({study.spec.n_cells} complete)" in verdict()
    return len([seen for seen in verdicts if "running" in seen])


MANY_CELLS = (
    TINY_SPEC.replace("[training]", "seed = [0, 1, 2, 3, 4]\n[training]")
    + "\n[lease]\nheartbeat_interval = 0.2\ngrace_period = 2.0\n"
)


def test_a_study_that_several_workers_are_on_is_clean_at_every_moment(tmp_path: Path) -> None:
    study = new_study(tmp_path, MANY_CELLS)
    assert verified_while_it_runs(study, tmp_path) >= 3


@pytest.mark.postgres
def test_a_study_on_a_server_is_clean_at_every_moment(tmp_path: Path) -> None:
    with postgres_server(tmp_path) as url:
        storage = open_storage(storage_url(url), create=True)
        create_study(storage, tiny_spec(tmp_path, MANY_CELLS))
        study = open_study(storage, "tiny")
        assert verified_while_it_runs(study, tmp_path) >= 3
        storage.engine.dispose()


def test_the_command_says_for_every_check_what_came_of_it_and_writes_nothing(
    grid: Path, command: Command
) -> None:
    before = database_content(grid)
    answer = command("verify", "tiny")
    assert answer.code == 0
    for check in CHECKS:
        count = "0" if check.name == "pruning" else r"[1-9]\d*"  # nothing ends early in this study
        assert re.search(rf"^ {check.name} .* {count} ok *$", answer.out, re.MULTILINE), check.name
    assert answer.out.splitlines()[-1].startswith("study 'tiny' keeps every promise: 8 cells")
    assert database_content(grid) == before


def test_a_broken_promise_is_exit_code_1_with_a_line_for_each_finding(grid: Path, command: Command) -> None:
    change_database(grid, "UPDATE trial_values SET value = 92.5 WHERE trial_id IN (3, 4)")
    change_database(grid, "DELETE FROM trial_heartbeats WHERE trial_id = 8")
    answer = command("verify", "tiny")
    assert answer.code == 1
    assert re.search(r"^ heartbeats .* 1 1 finding *$", answer.out, re.MULTILINE)
    assert re.search(r"^ values .* 5 2 findings *$", answer.out, re.MULTILINE)
    assert answer.out.splitlines()[-4:] == [
        "finding: heartbeats: trial 7, cell 7: runs without a heartbeat: any worker puts the cell back",
        "finding: values: trial 2, cell 2: its value is 92.5, but its last epoch had 92.0",
        "finding: values: trial 3, cell 3: its value is 92.5, but its last epoch had 92.0",
        "study 'tiny' breaks 2 promises: heartbeats, values",
    ]


def test_json_has_the_same(grid: Path, command: Command) -> None:
    change_database(grid, "DELETE FROM trial_heartbeats WHERE trial_id = 8")
    answer = command("verify", "tiny", "--json")
    assert answer.code == 1
    assert (answer.json["study"], answer.json["clean"]) == ("tiny", False)
    assert answer.json["verdict"] == "study 'tiny' breaks 1 promise: heartbeats"
    assert [check for check in answer.json["checks"] if check["findings"]] == [
        {
            "check": "heartbeats",
            "promise": "Each running attempt has a heartbeat, from its claim on",
            "checked": 1,
            "findings": [
                {"message": "runs without a heartbeat: any worker puts the cell back", "trial": 7, "cell": 7}
            ],
            "remark": False,
        }
    ]


def test_a_study_that_cannot_be_read_says_what_was_not_checked(grid: Path, command: Command) -> None:
    change_database(grid, set_in_spec("training.epoch", "3"))
    answer = command("verify", "tiny")
    assert answer.code == 1
    assert re.search(r"^ cells .* not checked *$", answer.out, re.MULTILINE)
    assert answer.out.splitlines()[-1] == "study 'tiny' breaks 1 promise: spec"


def test_the_files_are_looked_for_where_the_options_say(grid: Path, command: Command) -> None:
    (grid / ARTIFACTS).rename(grid / "files")
    (grid / CHECKPOINTS).rename(grid / "states")
    assert "remark: artifact folder: " in command("verify", "tiny").out
    answer = command(
        "verify", "tiny", "--artifacts", str(grid / "files"), "--checkpoints", str(grid / "states")
    )
    assert answer.code == 0
    assert "remark" not in answer.out


def test_a_study_that_is_not_there_is_a_mistake(grid: Path, command: Command) -> None:
    answer = command("verify", "tinny")
    assert answer.code == 2
    assert answer.err == "mnist-tune: no study 'tinny' in this storage; did you mean 'tiny'?\n"
    delete_study(open_study(open_file(grid), "tiny"))
    with pytest.raises(UserError, match="no study 'tiny'"):
        verify_folder(grid)
