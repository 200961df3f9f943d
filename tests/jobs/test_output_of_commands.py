"""What a command prints and reports: whole lines, torn lines, floods, progress bars."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_jobs import command_job, one_cell, results_in, run
from tests.support.commands import finish, start_command

SHORT = one_cell().replace(', "{args}"', "").replace("epochs = 3", "epochs = 1")


@pytest.mark.slow
def test_a_process_that_goes_on_printing_after_its_command_does_not_keep_the_trial(tmp_path: Path) -> None:
    script = """
import json, os, subprocess, time
prints = "import time\\nwhile time.sleep(0.001) is None: print('again ' * 9000, flush=True)"
subprocess.Popen(["python", "-c", prints])
time.sleep(1)
with open(os.environ["MNIST_TUNE_REPORT"], "a") as report:
    print(json.dumps({"epoch": 1, "error": 1.0}), file=report)
"""
    run(command_job(tmp_path, script, SHORT), tmp_path)
    assert [attempt.value for attempt in results_in(tmp_path).complete] == [1.0]


@pytest.mark.slow
def test_a_line_that_a_killed_command_has_not_written_to_its_end_is_no_report(tmp_path: Path) -> None:
    script = """
import os
from pathlib import Path
is_first = not Path("was-here").exists()
Path("was-here").touch()
whole = "epoch 1: error=0.123"
print(whole[:-2] if is_first else whole, end="", flush=True)
if is_first:
    os.kill(os.getpid(), 9)
"""
    patterns = 'pattern = "epoch (?P<epoch>.): error=(?P<error>.+)"\n[job.hyperparameters]'
    run(command_job(tmp_path, script, SHORT.replace("[job.hyperparameters]", patterns)), tmp_path)
    first, second = results_in(tmp_path).attempts
    assert (first.failure or {})["class"] == "lost"
    assert ([epoch["error"] for epoch in first.history], second.value) == ([], 0.123)


@pytest.mark.slow
def test_a_killed_command_is_not_blamed_for_half_a_line_of_json(tmp_path: Path) -> None:
    script = """
import os
from pathlib import Path
is_first = not Path("was-here").exists()
Path("was-here").touch()
with open(os.environ["MNIST_TUNE_REPORT"], "a") as report:
    report.write('{"epoch": 1, "err' if is_first else '{"epoch": 1, "error": 1}')
if is_first:
    os.kill(os.getpid(), 9)
"""
    run(command_job(tmp_path, script, SHORT), tmp_path)
    first, second = results_in(tmp_path).attempts
    assert ((first.failure or {})["class"], second.value) == ("lost", 1.0)


@pytest.mark.slow
def test_metrics_are_found_after_a_long_progress_bar(tmp_path: Path) -> None:
    script = """
import sys
for step in range(3000):
    print("\\r" + f"step {step} " + "#" * 80, end="", file=sys.stderr)
print("error=0.5")
"""
    pattern = "pattern = '^error=(?P<error>.+)'\n[job.hyperparameters]"
    script = script.replace('print("error', 'print("\\r", end="", file=sys.stderr)\nprint("error')
    run(command_job(tmp_path, script, SHORT.replace("[job.hyperparameters]", pattern)), tmp_path)
    assert [attempt.value for attempt in results_in(tmp_path).complete] == [0.5]


@pytest.mark.slow
def test_a_pattern_that_would_take_years_fails_the_trial(tmp_path: Path) -> None:
    pattern = "pattern = '(?P<error>(a+)+)$'\n[job.hyperparameters]"
    spec = SHORT.replace("[job.hyperparameters]", pattern).replace("[retry]", "[retry]\nexception = 0")
    path = command_job(tmp_path, "print('a' * 60 + 'b')", spec)
    answer = finish(start_command("run", str(path), "--workers", "1", folder=tmp_path))
    assert answer.returncode == 1, answer.stderr
    (failure,) = [attempt.failure or {} for attempt in results_in(tmp_path).attempts]
    assert failure["reason"].startswith(
        "the job's mistake: pattern '(?P<error>(a+)+)$': takes more than 5 s for the line 'aaaa"
    )
