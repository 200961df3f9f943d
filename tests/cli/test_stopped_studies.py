"""What the commands say of a study that its [stop] has stopped, and with which exit code."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from mnist_tune.failures import Failure
from mnist_tune.results.reading import read_results
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.terminal.events import events
from tests.support.command_jobs import DECAY, DECAY_SPEC, command_job
from tests.support.commands import STORED, Command, finish, run_command, start_command
from tests.support.specs import TINY_SPEC
from tests.support.studies import new_study, opened_again, take, work

WHY = "trial 0 has 95.00 %, and the target is 90.00 %"


@pytest.fixture
def stopped(tmp_path: Path) -> OpenStudy:
    """A study of 8 cells that has stopped after the first one."""
    study = new_study(tmp_path, f"{TINY_SPEC}\n[stop]\ntarget = 90.0\n")
    queue = study.queue()
    queue.complete(take(queue), 95.0)
    before = read_results(study)
    assert queue.claim("worker") is None
    assert f"the study is stopped: {WHY}" in list(events(before, read_results(study)))
    return study


def test_status_and_its_json_say_why_a_study_has_stopped(stopped: OpenStudy, command: Command) -> None:
    answer = command("status", "tiny")
    assert answer.code == 0
    assert "1/8 cells, 7 waiting, stopped, " in answer.out
    assert f"stopped: {WHY}; go on with: mnist-tune resume tiny" in answer.out.splitlines()
    assert "export it with: mnist-tune export tiny --output best.toml" in answer.out.splitlines()
    in_json = command("status", "tiny", "--json").json
    assert in_json["control"] == "stopped"
    assert in_json["stopped"].items() >= {"condition": "target", "trial": 0, "reason": WHY}.items()
    assert in_json["settings"]["stop"]["target"] == 90.0
    assert "stop.target=90" in answer.out
    assert command("status", "tiny", "--watch").code == 0  # nothing more happens
    assert command("verify", "tiny").code == 0


def test_a_worker_of_a_stopped_study_leaves_with_a_line_that_says_why(stopped: OpenStudy) -> None:
    lines: list[str] = []
    work(stopped, lambda _: 50.0, log=lines.append)
    assert lines == [f"leaving: the study is stopped: {WHY}; 'mnist-tune resume' goes on with it"]
    assert read_results(stopped).workers[0].departure == lines[0].removeprefix("leaving: ")


@pytest.mark.slow
def test_a_worker_leaves_a_study_that_was_stopped_for_failures_with_exit_code_1(tmp_path: Path) -> None:
    study = new_study(tmp_path, f"{TINY_SPEC}\n[stop]\nmax_failures = 1\n")
    queue = study.queue()
    queue.give_back(take(queue), Failure("exception", "it broke"))
    assert queue.claim("worker") is None
    left = finish(start_command("worker", "tiny", folder=tmp_path))
    assert (left.returncode, left.stdout.count("leaving: the study is stopped: 1 attempt failed")) == (1, 1)
    assert run_command("status", "tiny", folder=tmp_path).returncode == 1
    assert run_command("run", str(tmp_path / "spec.toml"), folder=tmp_path).returncode == 1


def test_a_stopped_study_is_not_run_until_it_is_resumed(
    stopped: OpenStudy, tmp_path: Path, command: Command
) -> None:
    assert command("resume", "tiny").out == "study 'tiny' goes on: workers may take its cells\n"
    assert opened_again(stopped).queue().claim("worker") is not None
    assert command("status", "tiny", "--json").json["stopped"] is None


def test_conditions_are_set_and_taken_back(tmp_path: Path, command: Command) -> None:
    study = new_study(tmp_path)
    answer = command("set", "tiny", "stop.target=99.5", "stop.wall_clock=3600")
    assert answer.out.splitlines() == [
        "stop.target is 99.5",
        "stop.wall_clock is 3600",
        "[stop] holds from the next claim on; a study that has stopped goes on with 'mnist-tune resume'",
    ]
    assert command("set", "tiny", "stop.target=none").out.splitlines()[0] == "stop.target is none"
    assert opened_again(study).spec.stop.conditions == {"wall_clock": 3600.0}
    for change, complaint in (
        ("stop.target=soon", "set: stop.target: should be a valid number, not 'soon'"),
        ("stop.no_improvement=0", "set: stop.no_improvement: should be greater than or equal to 1, not 0"),
        ("stop.wall_clock=0", "set: stop.wall_clock: should be greater than 0, not 0"),
        ("stop.targt=9", "set: stop.targt: unknown key; did you mean 'target'?"),
        ("stop=9", "set: stop is a table; name a field of it: stop.target, "),
    ):
        answer = command("set", "tiny", change)
        assert (answer.code, answer.err.startswith(f"mnist-tune: {complaint}")) == (2, True), answer.err


def test_the_report_says_why_a_study_has_stopped(
    stopped: OpenStudy, tmp_path: Path, command: Command
) -> None:
    assert command("report", "tiny", "--output", str(tmp_path / "report.html")).code == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"Stopped, since {WHY}: 1 of 8 cells complete, 7 waiting." in page


@pytest.mark.slow
def test_run_ends_with_a_target_that_is_reached_and_begins_nothing_more(tmp_path: Path) -> None:
    spec = command_job(tmp_path, DECAY, DECAY_SPEC + "\n[stop]\ntarget = 1000.0\n")
    ran = run_command("run", str(spec), "--workers", "1", folder=tmp_path)
    assert ran.returncode == 0, ran
    assert "stopped: trial 0 has " in ran.stdout
    assert "1/2 cells, 1 waiting, stopped" in run_command("status", "decay", folder=tmp_path).stdout
    again = run_command("run", str(spec), "--workers", "1", folder=tmp_path)
    assert again.returncode == 0
    assert again.stdout.startswith("study 'decay' is stopped in sqlite:///")
    with sqlite3.connect(tmp_path / STORED) as connection:
        (claimed,) = connection.execute("SELECT count(datetime_start) FROM trials").fetchone()
    connection.close()
    assert claimed == 1
