"""A command that is drained or pruned while it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_tune.results.trial_result import State
from tests.support.command_jobs import (
    DECAY,
    DECAY_SPEC,
    command_job,
    has_an_epoch,
    numbers_of,
    one_cell,
    results_in,
    run,
)
from tests.support.commands import finish, run_python, start_command
from tests.support.waiting import wait_until

SAVES_WHEN_TOLD = DECAY.replace(
    "state = Path(",
    """
def leave(*_: object) -> None:
    print("saves within an epoch")
    state.write_text(json.dumps([error, luck + 1, epoch + 1]))
    sys.exit(0)

signal.signal(signal.SIGTERM, leave)
state = Path(""",
)


@pytest.mark.slow
@pytest.mark.parametrize(("script", "luck"), [(DECAY, 0), (SAVES_WHEN_TOLD, 1)], ids=["unaware", "saves"])
def test_a_drained_command_goes_on_from_what_it_has_saved(tmp_path: Path, script: str, luck: int) -> None:
    whole, drained = tmp_path / "whole", tmp_path / "drained"
    run(command_job(whole, spec=one_cell()), whole)
    spec = command_job(drained, script, one_cell().replace("checkpoint_interval = 0", ""))
    finish(start_command("create-study", str(spec), folder=drained))
    line = ["worker", "decay", "--allow-command", "."]
    worker = start_command(*line, folder=drained, environment={"PAUSE": "600"})
    wait_until(lambda: has_an_epoch(drained))
    worker.terminate()
    answer = finish(worker)
    assert answer.returncode == 3, answer.stdout + answer.stderr
    assert finish(start_command(*line, folder=drained)).returncode == 0
    results = results_in(drained)
    first, second = results.attempts
    assert (first.failure or {})["class"] == "preempted"
    assert (second.resumed or {})["epoch"] == 1
    expected = numbers_of(results_in(whole))[0.5]
    found = numbers_of(results)[0.5]
    assert [one["error"] for one in found] == [one["error"] for one in expected]
    # The script that saves when it is told to leave has written another state than after the epoch.
    assert (found[1]["luck"] != expected[1]["luck"]) == bool(luck)
    assert finish(start_command("verify", "decay", folder=drained)).returncode == 0


@pytest.mark.slow
def test_a_pruned_command_is_ended(tmp_path: Path) -> None:
    pruner = '\n[pruner]\nname = "median"\nn_startup_trials = 1\nn_warmup_steps = 1\n'
    becomes_worse = (
        DECAY.replace("error, luck, first = 1.0", "error, luck, first = worse(), options.seed, 1")
        .replace(
            "state = Path(",
            """
def worse() -> float:
    runs = here / "runs"
    runs.touch()
    runs.write_text(runs.read_text() + "x")
    return float(10 ** len(runs.read_text()))

state = Path(""",
        )
        .replace("worse(), options.seed, 1, options.seed, 1", "worse(), options.seed, 1")
    )
    spec = command_job(tmp_path, becomes_worse, DECAY_SPEC + pruner)
    finish(start_command("create-study", str(spec), folder=tmp_path))
    line = ["worker", "decay", "--allow-command", ".", "--max-trials", "1"]
    finish(start_command(*line, folder=tmp_path))
    answer = finish(start_command(*line, folder=tmp_path, environment={"PAUSE": "1"}))
    assert answer.returncode == 0, answer.stderr
    assert [attempt.state for attempt in results_in(tmp_path).attempts] == [State.COMPLETE, State.PRUNED]


@pytest.mark.slow
def test_a_drained_command_whose_state_cannot_be_saved_is_preempted(tmp_path: Path) -> None:
    leads_out = '(state.with_name("link")).is_symlink() or state.with_name("link").symlink_to("/elsewhere")\n'
    script = DECAY.replace("error, luck, first = 1.0", f"{leads_out}error, luck, first = 1.0")
    spec = one_cell().replace("checkpoint_interval = 0", "")
    finish(start_command("create-study", str(command_job(tmp_path, script, spec)), folder=tmp_path))
    line = ["worker", "decay", "--allow-command", "."]
    worker = start_command(*line, folder=tmp_path, environment={"PAUSE": "600"})
    wait_until(lambda: has_an_epoch(tmp_path))
    worker.terminate()
    answer = finish(worker)
    assert answer.returncode == 3, answer.stdout + answer.stderr
    assert "no checkpoint was saved: the link 'link' leads out of the folder of checkpoints" in answer.stdout
    failures = [attempt.failure for attempt in results_in(tmp_path).attempts if attempt.failure]
    assert [failure["class"] for failure in failures] == ["preempted"]


def test_a_process_that_is_killed_without_a_command_leaves_no_folder(tmp_path: Path) -> None:
    script = """
import os, signal, tempfile
from mnist_tune.jobs.command.trial_folder import trial_folder
from mnist_tune.processes.watchdog import Watchdog
tempfile.tempdir = os.getcwd()
with trial_folder({"epochs": 1}, Watchdog()) as own:
    print(own.folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    made = Path(run_python(script, tmp_path).stdout.strip())
    assert made.parent == tmp_path
    wait_until(lambda: not made.exists())


def test_a_command_may_remove_its_folders(tmp_path: Path) -> None:
    removes = """
import shutil
shutil.rmtree(os.environ["MNIST_TUNE_ARTIFACTS"])
shutil.rmtree(state.parent)
for epoch in range(1, options.epochs + 1):
    with open(os.environ["MNIST_TUNE_REPORT"], "a") as report:
        print(json.dumps({"epoch": epoch, "error": 1.0}), file=report)
"""
    script = DECAY[: DECAY.index("error, luck, first")] + removes
    run(command_job(tmp_path, script, one_cell()), tmp_path)
    assert [attempt.value for attempt in results_in(tmp_path).complete] == [1.0]
