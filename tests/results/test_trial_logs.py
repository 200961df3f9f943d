"""`logs` prints the workers' logs of trials, with or without their files."""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path

import pytest

from mnist_tune.api.storages import NamedDatabase
from mnist_tune.contract.claim import Claim
from mnist_tune.failures import Failure
from mnist_tune.hardware.placement import Placement
from mnist_tune.storage.artifacts import ArtifactFolder, upload
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.worker.pool import Pool
from mnist_tune.worker.trial import Trial
from tests.support.commands import STORED, Command, finish, start_command, start_toy_worker
from tests.support.made_studies.epochs import made_epoch
from tests.support.specs import TINY_SPEC
from tests.support.studies import new_study, take, work
from tests.support.waiting import wait_until

TRACEBACK = "ValueError: too \x1b[31mred\nTraceback (most recent call last):\n\tline 1"
EPOCH: dict[str, float | None] = {
    "training_loss": 0.5,
    "validation_loss": 0.25,
    "validation_accuracy": 91.0,
    "images_per_second": 1234.0,
    "seconds": 1.0,
}


@pytest.fixture
def study(tmp_path: Path) -> OpenStudy:
    """Trial 0 is complete, with its log; trial 1 has failed; trial 2 runs; the others wait."""
    study = new_study(tmp_path)
    queue = study.queue()
    complete, failed, running = (claimed(study) for _ in range(3))
    files = {"log.txt": b"2026-01-01 10:00:00 goes on after epoch 1\n2026-01-01 10:01:00 complete\n"}
    pointers = upload(ArtifactFolder(tmp_path / "studies.db.artifacts"), complete.token, files)
    queue.complete(complete, 91.0, epochs={1: EPOCH}, system=pointers)
    assert queue.give_back(failed, Failure("exception", TRACEBACK))
    queue.record(running, epochs={1: EPOCH})
    return study


def claimed(study: OpenStudy) -> Claim:
    claim = study.queue().claim("machine:1")
    assert claim is not None
    return claim


def lines(command: Command, *options: str) -> list[str]:
    answer = command("logs", "tiny", *options)
    assert (answer.code, answer.err) == (0, "")
    return answer.out.splitlines()


@pytest.mark.usefixtures("study")
def test_a_trials_own_log_is_printed_as_its_worker_kept_it(command: Command) -> None:
    first, *kept = lines(command, "--trial", "0")
    assert first.endswith("begins on machine:1: learning_rate=0.0001, batch_size=128, optimizer=Adam")
    assert kept == ["2026-01-01 10:00:00 goes on after epoch 1", "2026-01-01 10:01:00 complete"]


@pytest.mark.usefixtures("study")
def test_a_log_that_is_neither_here_nor_stored_is_made_up(command: Command, tmp_path: Path) -> None:
    (tmp_path / "studies.db.artifacts").rename(tmp_path / "elsewhere")
    told = lines(command, "--trial", "0")
    assert told[1].startswith("epoch 1/2: training loss 0.5000, validation loss 0.2500, ")
    assert told[2].endswith(" complete")
    assert lines(command, "--trial", "0", "--artifacts", str(tmp_path / "elsewhere"))[-1].endswith("complete")


def test_a_log_on_another_machine_is_printed_from_the_storage(command: Command, tmp_path: Path) -> None:
    study = new_study(tmp_path)
    work(study, lambda _: 50.0, max_trials=1)
    kept = lines(command, "--trial", "0", "--artifacts", str(tmp_path / "artifacts"))
    assert kept[-1].endswith("complete: validation accuracy 50.00 %")
    assert lines(command, "--trial", "0", "--artifacts", str(tmp_path / "elsewhere")) == kept
    assert "log" not in command("status", "tiny", "--json").json["trials"][0]


def test_the_beginning_and_the_failure_of_a_trial_are_said_once(command: Command, tmp_path: Path) -> None:
    def broken(trial: Trial) -> float:
        trial.epoch_done(made_epoch(1, 50.0))
        raise ZeroDivisionError("half of nothing")

    work(new_study(tmp_path), broken, max_trials=1)
    log = lines(command, "--trial", "0", "--artifacts", str(tmp_path / "artifacts"))
    assert " begins on " in log[0]
    assert sum("learning_rate=" in line for line in log) == 1
    assert [line for line in log if "half of nothing" in line and "raise" not in line] == [
        log[1],
        log[-1],  # the traceback's own last line
    ]
    assert log[1].endswith(" exception: ZeroDivisionError: half of nothing")
    assert log[2] == "Traceback (most recent call last):"
    assert lines(command, "--trial", "0", "--artifacts", str(tmp_path / "elsewhere")) == log


@pytest.mark.usefixtures("study")
def test_a_failure_is_printed_whole_without_what_a_terminal_would_obey(command: Command) -> None:
    told = lines(command, "--trial", "1")
    assert told[1].endswith(" failed: exception")
    assert told[2:] == [
        r"ValueError: too \x1b[31mred",
        "Traceback (most recent call last):",
        "        line 1",
    ]


@pytest.mark.usefixtures("study")
def test_without_a_trial_all_are_printed_in_order_but_those_that_wait(command: Command) -> None:
    numbers = [int(line.split(":")[0].removeprefix("trial ")) for line in lines(command)]
    assert numbers == [0, 0, 0, 1, 1, 1, 1, 1, 2, 2]


@pytest.mark.usefixtures("study")
def test_logs_answer_in_json_too(command: Command) -> None:
    answer = command("logs", "tiny", "--json")
    assert [trial["trial"] for trial in answer.json] == list(range(9))
    assert answer.json[0]["lines"] == lines(command, "--trial", "0")
    refused = command("logs", "tiny", "--json", "--follow")
    assert refused.code == 2
    assert "leave out --json" in refused.err


@pytest.mark.usefixtures("study")
def test_a_trial_that_is_not_there_is_refused_in_one_line(command: Command) -> None:
    answer = command("logs", "tiny", "--trial", "9")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "mnist-tune: study 'tiny' has no trial 9; it has 0 to 8\n"


@pytest.mark.slow
def test_follow_goes_on_to_the_end_of_the_trial_and_tells_nothing_twice(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    claim = claimed(study)
    queue = study.queue()
    queue.record(claim, epochs={1: EPOCH})
    following = start_command("logs", "tiny", "--trial", "0", "--follow", folder=tmp_path)
    assert following.stdout is not None
    assert "begins on machine:1" in following.stdout.readline()
    assert following.stdout.readline().startswith("epoch 1/2")
    other = claimed(study)
    queue.complete(other, 12.0)
    queue.complete(claim, 91.0, epochs={1: EPOCH, 2: EPOCH})
    answer = finish(following)
    assert (answer.returncode, answer.stderr) == (0, "")
    epoch, end = answer.stdout.splitlines()
    assert epoch.startswith("trial 0 epoch 2/2")
    assert end.startswith("trial 0 complete; 2/8 cells")


@pytest.mark.slow
def test_follow_ends_with_the_study(tmp_path: Path) -> None:
    study = new_study(tmp_path)
    held = claimed(study)
    following = start_command("logs", "tiny", "--follow", folder=tmp_path)
    assert following.stdout is not None
    assert "begins on machine:1" in following.stdout.readline()
    assert study.queue().give_back(held, Failure("preempted", "drained"))
    worker = finish(start_toy_worker(tmp_path))
    assert worker.returncode == 0, worker.stderr
    answer = finish(following)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert [f"trial {number} complete" in answer.stdout for number in range(1, 9)] == [True] * 8


def test_ctrl_c_ends_following_without_a_word_to_the_workers(tmp_path: Path) -> None:
    study = new_study(tmp_path, TINY_SPEC)
    claimed(study)
    following = start_command("logs", "tiny", "--follow", folder=tmp_path)
    assert following.stdout is not None
    assert "begins on" in following.stdout.readline()
    following.send_signal(signal.SIGINT)
    answer = finish(following)
    assert (answer.returncode, answer.stderr) == (3, "")
    assert study.optuna_study().trials[0].state.name == "RUNNING"


@pytest.mark.parametrize("instead", ["a path", "a link", "a pipe"])
def test_only_a_file_of_ours_is_printed(tmp_path: Path, command: Command, instead: str) -> None:
    (tmp_path / "secret").write_text("a secret\n")
    study = new_study(tmp_path, url=f"sqlite:///{tmp_path}/{STORED}")
    queue, files = study.queue(), ArtifactFolder(tmp_path / "artifacts")
    claim = take(queue)
    (pointer,) = upload(files, claim.token, {"log.txt": b"said\n"}).items()
    queue.complete(claim, 50.0, system={pointer[0]: pointer[1]})
    artifact = pointer[0].removeprefix("artifacts:")
    if instead == "a path":
        path = str(tmp_path / "secret")
        study.storage.engine.dispose()
        with sqlite3.connect(tmp_path / STORED) as connection:
            connection.execute(
                "UPDATE trial_system_attributes SET key = replace(key, ?, ?), "
                "value_json = replace(value_json, ?, ?)",
                (artifact, path, artifact, path),
            )
        connection.close()
    else:
        place = files.path(artifact)
        place.unlink()
        if instead == "a link":
            place.symlink_to(tmp_path / "secret")
        else:
            os.mkfifo(place)
    answer = command("logs", "tiny", "--trial", "0", "--artifacts", str(tmp_path / "artifacts"))
    assert answer.code == 0
    assert "complete" in answer.out
    assert "a secret" not in answer.out


def test_why_a_worker_that_another_command_started_could_not_begin_is_in_the_studys_logs(
    command: Command, tmp_path: Path
) -> None:
    study = new_study(tmp_path, url=f"sqlite:///{tmp_path}/{STORED}")
    pool = Pool(study.name, NamedDatabase(study.storage.engine.url).environment)
    pool.start([Placement("cuda:77")])
    wait_until(lambda: not pool.is_alive())
    assert pool.exit_code() == 2
    (said,) = pool.failures()
    reason = said.partition(" exited with 2: mnist-tune: ")[2]
    assert reason.startswith("device 'cuda:77' is not there")
    [line] = command("logs", "tiny").out.splitlines()
    assert line.startswith("worker ")
    assert line.endswith(f" could not begin: {reason}")
    assert command("logs", "tiny", "--trial", "0").out == ""


def test_a_mistake_that_its_maker_reads_of_at_once_is_not_in_the_studys_logs(
    command: Command, tmp_path: Path
) -> None:
    new_study(tmp_path)
    assert command("worker", "tiny", "--device", "cuda:77").code == 2
    assert command("logs", "tiny").out == ""
