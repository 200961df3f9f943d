"""A command as a job: run, killed, drained, pruned; and it runs only where somebody has allowed it."""

from __future__ import annotations

import json
import os
import signal
import tomllib
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from mnist_tune.results.eta import own_epochs
from mnist_tune.study.store import open_study
from tests.support.command_jobs import DECAY, DECAY_SPEC, command_job, numbers_of, one_cell, results_in, run
from tests.support.commands import BY_EXEC, Command, finish, start_command
from tests.support.own_jobs import own_job
from tests.support.process_tree import descendants
from tests.support.studies import open_file
from tests.support.waiting import wait_until

EXPECTED = {0.1: [0.9, 0.81, 0.729], 0.5: [0.5, 0.25, 0.125]}


@pytest.mark.slow
def test_a_command_is_searched_as_a_function_is(tmp_path: Path, command: Command) -> None:
    run(command_job(tmp_path), tmp_path)
    results = results_in(tmp_path)
    found = {rate: [one["error"] for one in epochs] for rate, epochs in numbers_of(results).items()}
    assert found == {rate: pytest.approx(values) for rate, values in EXPECTED.items()}
    assert results.best is not None
    assert results.best.parameters == {"learning_rate": 0.5}
    assert all("model.txt" in attempt.artifacts for attempt in results.complete)
    assert all(attempt.environment["job_sha256"] for attempt in results.complete)
    assert "rows/s" in command("status", "decay").out
    assert "in epoch 2" in command("logs", "decay", "--trial", "0").out
    assert command("verify", "decay").code == 0
    exported = command("export", "decay").out
    assert 'command = [\n    "python",\n    "decay.py"' in exported
    assert command("report", "decay", "--output", str(tmp_path / "report.html")).code == 0
    assert not list(tmp_path.glob("mnist-tune-*"))


@pytest.mark.slow
def test_a_command_that_is_killed_anywhere_in_an_epoch_ends_with_the_same_numbers(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run(command_job(whole), whole)
    spec = command_job(killed)
    (killed / "kill").touch()
    run(spec, killed)
    found = results_in(killed)
    assert numbers_of(found) == numbers_of(results_in(whole))
    failed = [attempt.failure for attempt in found.attempts if attempt.failure]
    assert {failure["class"] for failure in failed} == {"lost"}
    assert len(failed) == 2 * 3 * 3  # cells, epochs, places
    assert finish(start_command("verify", "decay", folder=killed)).returncode == 0


@pytest.mark.slow
def test_a_worker_that_is_killed_leaves_no_command_and_no_folder(tmp_path: Path) -> None:
    finish(start_command("create-study", str(command_job(tmp_path)), folder=tmp_path))
    (tmp_path / "temporary").mkdir()
    environment = {"PAUSE": "600", "TMPDIR": str(tmp_path / "temporary")}
    line = ["worker", "decay", "--allow-command", "."]
    for victim in ("worker", "training"):
        worker = start_command(*line, folder=tmp_path, environment=environment | dict(BY_EXEC))
        wait_until(lambda: scripts_in(tmp_path) != [])  # of the other cell, the second time
        (script,) = scripts_in(tmp_path)
        if victim == "worker":
            worker.kill()
        else:
            (training,) = [pid for pid in descendants(worker.pid) if "training" in command_line(pid)]
            os.kill(training, signal.SIGKILL)
        wait_until(partial(is_gone, script))
        worker.kill()
        finish(worker)
        wait_until(lambda: not list((tmp_path / "temporary").glob("mnist-tune-*")))
        assert scripts_in(tmp_path) == []


def scripts_in(folder: Path) -> list[int]:
    """The processes that run the script in this folder."""
    found = []
    for path in Path("/proc").iterdir():
        with suppress(OSError):
            if path.name.isdecimal() and (path / "cwd").readlink() == folder:
                found.append(int(path.name))
    return [pid for pid in found if "decay.py" in command_line(pid)]


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


PRINTS = """
import sys
print("begins", file=sys.stderr)
for epoch in range(1, 4):
    print(f"[{epoch}] training: loss={1 / epoch:.3f}")
    print(f"[{epoch}] validation: error={2 / epoch:.3f}", file=sys.stderr)
"""
PATTERNS = r"""pattern = [
    'training: loss=(?P<loss>\S+)',
    '\[(?P<epoch>\d+)\] validation: error=(?P<error>\S+)',
]
objective = "error"
"""


def test_metrics_are_found_in_what_a_script_prints_that_knows_nothing(tmp_path: Path) -> None:
    spec = one_cell(DECAY_SPEC.replace('objective = "error"\n', PATTERNS)).replace(', "{args}"', "")
    run(command_job(tmp_path, PRINTS, spec), tmp_path)
    (attempt,) = results_in(tmp_path).complete
    assert [(epoch["loss"], epoch["error"]) for epoch in attempt.history] == [
        (1.0, 2.0),
        (0.5, 1.0),
        (0.333, 0.667),
    ]


@pytest.mark.parametrize(
    "noise", ['{kind = "binomial", of = 360, cases = "images"}', '{kind = "normal", deviation = 0.1}']
)
def test_the_noise_of_a_commands_objective_is_stored_and_exported(
    tmp_path: Path, command: Command, noise: str
) -> None:
    spec = DECAY_SPEC.replace('unit = "rows"', f'unit = "rows"\nnoise = {noise}')
    assert command("create-study", str(command_job(tmp_path, spec=spec))).code == 0
    stored = open_study(open_file(tmp_path), "decay").spec
    (kept,) = tomllib.loads(f"noise = {noise}").values()
    assert stored.job.document()["noise"] == kept
    described = stored.description.noise
    assert described is not None
    assert described.model_dump() == kept
    assert command("status", "decay").code == 0


@pytest.mark.slow
def test_a_command_whose_reports_have_no_epoch_begins_anew_after_a_loss(tmp_path: Path) -> None:
    script = DECAY.replace('"epoch": epoch, ', "").replace("state.exists()", "False")
    (tmp_path / "kill").touch()
    run(command_job(tmp_path, script, one_cell()), tmp_path)
    results = results_in(tmp_path)
    assert [epoch["error"] for epoch in results.complete[0].history] == EXPECTED[0.5]
    assert all(own_epochs(attempt) == attempt.history for attempt in results.attempts)
    logs = finish(start_command("logs", "decay", "--trial", "9", folder=tmp_path)).stdout
    assert "its reports have no number of the epoch: after a loss, a trial begins anew" in logs


@pytest.mark.slow
def test_a_saved_state_with_which_the_command_fails_is_given_up(tmp_path: Path) -> None:
    script = DECAY.replace("json.loads(state.read_text())", "json.loads('torn')")
    (tmp_path / "kill").touch()
    for epoch in (1, 3):
        for place in ("within", "saved", "after"):
            (tmp_path / f"0.5-{epoch}-{place}").touch()
    run(command_job(tmp_path, script, one_cell()), tmp_path)
    results = results_in(tmp_path)
    assert [epoch["error"] for epoch in results.complete[0].history] == EXPECTED[0.5]
    problem = (results.complete[0].resumed or {})["problem"]
    assert problem.startswith("with its saved state, the command exited with 1: json.decoder.JSONDecodeError")


@pytest.mark.slow
def test_another_reading_of_a_command_takes_over_no_cells(tmp_path: Path, command: Command) -> None:
    run(command_job(tmp_path), tmp_path)
    of_luck = DECAY_SPEC.replace('objective = "error"', 'objective = "luck"').replace('"decay"', '"luck"')
    (tmp_path / "luck.toml").write_text(of_luck, encoding="utf-8")
    answer = command("create-study", str(tmp_path / "luck.toml"), "--reuse", "decay")
    assert (answer.code, "job.objective is error there and luck here" in answer.err) == (2, True), answer.err
    same = DECAY_SPEC.replace('name = "decay"', 'name = "same"').replace("[0.1, 0.5]", "[0.1, 0.2]")
    (tmp_path / "same.toml").write_text(same, encoding="utf-8")
    assert command("create-study", str(tmp_path / "same.toml"), "--reuse", "decay").code == 0
    assert [attempt.parameters for attempt in results_in(tmp_path, "same").complete] == [
        {"learning_rate": 0.1}
    ]


@pytest.mark.slow
def test_a_command_can_be_tried_without_a_study(tmp_path: Path, command: Command) -> None:
    spec = str(command_job(tmp_path))
    tried = finish(start_command("try", spec, "--set", "learning_rate=0.5", "--json", folder=tmp_path))
    assert tried.returncode == 0, tried.stderr
    found = json.loads(tried.stdout)
    assert [epoch["error"] for epoch in found["epochs"]] == EXPECTED[0.5]
    assert found["settings"] == {"epochs": 3, "seed": 0, "learning_rate": 0.5}
    assert found["files"] == {"model.txt": 5}
    assert "in epoch 1" in tried.stderr
    lines = finish(start_command("try", spec, "--epochs", "1", folder=tmp_path)).stdout.splitlines()
    assert lines[0].startswith("epoch 1/1: luck 864.0000, error 0.9000, ")
    assert lines[1] == "complete: error 0.9000"
    described = command("describe", spec, "--json").json
    assert (described["name"], described["objective"]) == ("decay", "error")
    command_job(tmp_path, "print('no data'); raise SystemExit(3)")
    wrong = finish(start_command("try", spec, folder=tmp_path))
    assert (wrong.returncode, wrong.stderr) == (
        1,
        "no data\nmnist-tune: the command exited with 3: no data\n",
    )
    assert {path.name for path in tmp_path.iterdir()} == {"decay.py", "decay.toml"}


@pytest.mark.slow
def test_epochs_may_be_counted_from_zero(tmp_path: Path) -> None:
    script = DECAY.replace('{"epoch": epoch,', '{"epoch": epoch - 1,')
    spec = command_job(tmp_path, script, one_cell())
    (tmp_path / "kill").touch()
    run(spec, tmp_path)
    results = results_in(tmp_path)
    assert [(epoch.epoch, epoch["error"]) for epoch in results.complete[0].history] == [
        (1, 0.5),
        (2, 0.25),
        (3, 0.125),
    ]
    assert [(attempt.resumed or {}).get("epoch") for attempt in results.attempts][-1] == 3


@pytest.mark.slow
def test_output_without_a_metric_is_told_with_its_last_line(tmp_path: Path) -> None:
    spec = one_cell(DECAY_SPEC.replace('objective = "error"\n', PATTERNS)).replace(', "{args}"', "")
    path = command_job(tmp_path, "print('Epoch 1 has error 0.5')", spec + "exception = 0\n")
    answer = finish(start_command("run", str(path), "--workers", "1", folder=tmp_path))
    assert answer.returncode == 1
    failure = results_in(tmp_path).attempts[0].failure or {}
    assert failure["reason"] == (
        "the command reported no epoch: no line of its output fits the pattern; its last line: "
        "Epoch 1 has error 0.5"
    )


@pytest.mark.slow
def test_the_way_to_start_workers_is_told_with_what_they_may_run(tmp_path: Path, command: Command) -> None:
    made = command("create-study", str(command_job(tmp_path))).out
    assert made.endswith("start workers with: mnist-tune worker decay --allow-command .\n")
    made = command("create-study", str(command_job(tmp_path / "a folder")), "--name", "other").out
    assert made.endswith("start workers with: mnist-tune worker other --allow-command 'a folder'\n")
    made = command("create-study", str(own_job(tmp_path))).out
    assert made.endswith("start workers with: mnist-tune worker fit --job fit.py:train\n")
