"""What a job prints is in its trial's log, whoever prints it and however the trial ends."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

import pytest

from mnist_tune.processes.child_process import ChildProcess
from mnist_tune.worker.attempt_log import MAX_PRINTED
from tests.support.commands import Command, finish, start_command
from tests.support.own_jobs import own_job

BEGINNING = """
import ctypes, logging, os, signal, subprocess, sys, threading, time, warnings
from pathlib import Path
from mnist_tune import Hyperparameters, Trial, job

print("printed by the import")

@job(objective="error", direction="minimize")
def train(settings: Hyperparameters, trial: Trial) -> None:
    seed = settings.seed
    for epoch in trial.epochs():
"""
SPEC = """
[study]
name = "fit"
[job]
file = "fit.py:train"
[search.grid]
seed = [0]
[training]
epochs = 1
[retry]
exception = 0
lost = 0
"""
pytestmark = pytest.mark.slow

FULL_STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S+ ")


def written(folder: Path, body: str, spec: str = SPEC) -> Path:
    """Write a job with this epoch; returns the path of its spec."""
    lines = "".join(
        f"        {line}\n" for line in [*body.strip("\n").split("\n"), "trial.report(error=1.0)"]
    )
    return own_job(folder, BEGINNING + lines, spec)


def work(folder: Path, body: str, spec: str = SPEC) -> subprocess.CompletedProcess[str]:
    """Make the study, and run it with a worker in a process of its own; returns what the worker says."""
    path = written(folder, body, spec)
    assert finish(start_command("create-study", str(path), folder=folder)).returncode == 0
    return finish(start_command("worker", "fit", "--job", "fit.py:train", folder=folder))


def log_of(command: Command, trial: int = 0, *options: str) -> list[str]:
    """The lines of a trial's log without their times."""
    answer = command("logs", "fit", "--trial", str(trial), *options)
    assert (answer.code, answer.err) == (0, "")
    return [FULL_STAMP.sub("", line, count=1) for line in answer.out.splitlines()]


def printed_in(log: list[str]) -> list[str]:
    return [line.removeprefix("| ") for line in log if line.startswith("| ")]


def test_all_that_a_job_and_its_children_print_is_in_the_log_of_the_trial(
    tmp_path: Path, command: Command
) -> None:
    body = r"""
print("by print")
print("to stderr", file=sys.stderr)
os.write(1, b"to descriptor 1\n")
os.write(2, b"to descriptor 2\n")
warnings.warn("a warning")
logging.warning("by logging")
ctypes.CDLL(None).printf(b"by C\n")
subprocess.run([sys.executable, "-c", "print('by a child')"], check=True)
ctypes.CDLL(None).printf(b"by C without an end")
sys.stdout.write(" and by Python")
"""
    answer = work(tmp_path, body)
    assert answer.returncode == 0, answer.stderr
    printed = printed_in(log_of(command))
    for expected in (
        *("by print", "to stderr", "to descriptor 1", "to descriptor 2"),
        *("WARNING:root:by logging", "by C", "by a child"),
    ):
        assert printed.count(expected) == 1, expected
    assert any(line.endswith("UserWarning: a warning") for line in printed)
    assert {"by C without an end", " and by Python"} <= set(re.split("(?= and)|(?=by C w)", printed[-1]))
    assert "printed by the import" not in printed
    assert "printed by the import" in answer.stderr
    assert "by a child" in answer.stderr
    assert "by print" not in answer.stdout, "the worker's own log has no line of the job"


def test_printed_lines_stand_between_those_of_the_worker(tmp_path: Path, command: Command) -> None:
    body = "print('before'); trial.log('said'); time.sleep(0.5); print('after')"
    assert work(tmp_path, body).returncode == 0
    log = log_of(command)
    order = [log.index(line) for line in ("| before", "said", "| after", "epoch 1/1: error 1.0000")]
    assert order == sorted(order)
    assert log[-1].startswith("complete: ")


def test_each_trial_has_its_own_lines(tmp_path: Path, command: Command) -> None:
    body = (
        "print(f'seed {seed} begins'); print(f'seed {seed} goes on'); sys.stdout.write(f'seed {seed} ends')"
    )
    spec = SPEC.replace("[0]", "[0, 1, 2, 3]")
    assert work(tmp_path, body, spec).returncode == 0
    trials = command("status", "fit", "--json").json["trials"]
    assert len(trials) == 4
    for trial in trials:
        seed = trial["parameters"]["seed"]
        expected = [f"seed {seed} {does}" for does in ("begins", "goes on", "ends")]
        assert printed_in(log_of(command, trial["number"])) == expected


def test_of_a_progress_bar_only_the_last_state_is_kept(tmp_path: Path, command: Command) -> None:
    body = r"""
for percent in range(0, 10_001):
    print(f"\r{percent / 100:.2f} %", end="", flush=True, file=sys.stderr)
print(file=sys.stderr)
print("windows\r")
print("drawn\rover", end="\r\n")
sys.stdout.write("\runfinished 1 %\runfinished 2 %\r")
"""
    assert work(tmp_path, body).returncode == 0
    assert printed_in(log_of(command)) == ["100.00 %", "windows", "over", "unfinished 2 %"]


def test_of_megabytes_the_newest_lines_are_kept_and_the_others_counted(
    tmp_path: Path, command: Command
) -> None:
    body = "for number in range(200_000): print(number, 'y' * 90)"
    assert work(tmp_path, body).returncode == 0
    log = log_of(command)
    printed = [int(line.split()[0]) for line in printed_in(log)]
    left_out = 200_000 - len(printed)
    assert printed == list(range(left_out, 200_000))
    [notice] = [line for line in log if "left out" in line]
    assert notice == f"the job has printed {left_out:,} lines more, which are left out"
    assert log.index(notice) + 1 == log.index(f"| {left_out} {'y' * 90}")
    assert log[-1].startswith("complete: ")
    [file] = (tmp_path / "studies.db.artifacts").iterdir()
    assert 0.9 * MAX_PRINTED < file.stat().st_size < MAX_PRINTED + 1_000
    elsewhere = log_of(command, 0, "--artifacts", str(tmp_path / "elsewhere"))
    assert any("the job keeps no state" in line for line in elsewhere), "lines of the worker come first"
    assert 100 < len(printed_in(elsewhere)) < 400


def test_a_line_of_megabytes_is_cut_and_invalid_bytes_are_shown(tmp_path: Path, command: Command) -> None:
    body = r"""
os.write(1, b"x" * 5_000_000 + b"\n")
os.write(1, b"\xff\xfe bad \x1b[31m red \x00\n\n   \n")
os.write(1, "é".encode()[:1]); time.sleep(0.1); os.write(1, "é".encode()[1:] + b" in pieces\n")
"""
    path = written(tmp_path, body)
    assert finish(start_command("run", str(path), "--workers", "1", folder=tmp_path)).returncode == 0
    long, bad, pieces = printed_in(log_of(command))
    assert long == "x" * 2_000 + "… (the rest of this line is left out)"
    assert bad == "\N{REPLACEMENT CHARACTER}" * 2 + r" bad \x1b[31m red \x00"
    assert pieces == "é in pieces"


@pytest.mark.parametrize(
    ("end", "says"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL"),
        ("os._exit(7)", "exited with 7"),
        ("raise ValueError('of the user')", "ValueError: of the user"),
    ],
)
def test_nothing_is_lost_when_the_trial_fails(tmp_path: Path, command: Command, end: str, says: str) -> None:
    body = f"print('a line'); print('the last words', end='', flush=True); {end}"
    assert work(tmp_path, body).returncode == 1
    log = log_of(command)
    assert printed_in(log) == ["a line", "the last words"]
    assert any(says in line for line in log)
    assert not any("the training process said" in line for line in log), "they are there already"
    if "ValueError" not in end:
        [trial] = command("status", "fit", "--json").json["trials"]
        assert trial["failure"]["reason"].split("\n")[1:] == ["a line", "the last words"]


def test_the_last_words_of_a_trial_are_not_those_of_an_earlier_one(tmp_path: Path, command: Command) -> None:
    (tmp_path / "once").touch()
    body = r"""
if Path("once").exists():
    Path("once").unlink(); print("of the first trial")
else:
    os._exit(7)
"""
    assert work(tmp_path, body, SPEC.replace("[0]", "[0, 1]")).returncode == 1
    first, second = command("status", "fit", "--json").json["trials"]
    assert printed_in(log_of(command, first["number"])) == ["of the first trial"]
    assert second["failure"]["reason"] == "the training process exited with 7"


def test_what_a_job_imports_anew_after_a_failure_prints_is_in_no_log(
    tmp_path: Path, command: Command
) -> None:
    body = "print('of the trial', flush=True); os._exit(7)"
    spec = SPEC.replace("[0]", "[0, 1]") + "\n[limits]\nfailures_in_a_row = 0\n"
    answer = work(tmp_path, body, spec)
    assert answer.stderr.count("printed by the import") == 2
    for number in (0, 1):
        assert printed_in(log_of(command, number)) == ["of the trial"]


def test_a_trial_that_hangs_at_its_limit_keeps_what_it_has_printed(tmp_path: Path, command: Command) -> None:
    body = "subprocess.Popen(['sleep', '5']); print('and then it hangs'); time.sleep(600)"
    spec = SPEC + "\n[limits]\ntimeout = 1.0\n"
    assert work(tmp_path, body, spec).returncode == 1
    assert printed_in(log_of(command)) == ["and then it hangs"]


def test_the_lines_of_a_running_commands_workers_fill_no_disk(tmp_path: Path) -> None:
    """A worker whose output is a file without a name copies no printed line to it."""
    path = written(tmp_path, "print('a line' * 100)")
    assert finish(start_command("create-study", str(path), folder=tmp_path)).returncode == 0
    with tempfile.TemporaryFile() as output:
        worker = ChildProcess(
            "mnist_tune.__main__:main",
            argv=[
                *("mnist-tune", "worker", "fit", "--job", str(tmp_path / "fit.py:train")),
                *("--storage", f"sqlite:///{tmp_path / 'studies.db'}"),
            ],
            stdout=output.fileno(),
            stderr=output.fileno(),
        )
        worker.start()
        ending = worker.wait(120)
        output.seek(0)
        said = output.read().decode()
    assert ending is not None
    assert ending.code == 0, said
    assert "complete: error" in said
    assert "printed by the import" in said
    assert "a line" not in said


def test_a_printed_line_cannot_be_taken_for_one_of_the_worker(tmp_path: Path, command: Command) -> None:
    body = "print('begins with seed=7'); print('complete: error 0.0'); print('2026-01-01 10:00:00Z complete')"
    assert work(tmp_path, body).returncode == 0
    answer = command("logs", "fit", "--trial", "0", "--json").json[0]["lines"]
    marked = [line for line in answer if " | " in line]
    assert [line.partition(" | ")[2] for line in marked] == [
        "begins with seed=7",
        "complete: error 0.0",
        "2026-01-01 10:00:00Z complete",
    ]
