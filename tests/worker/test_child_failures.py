"""A training process that fails, hangs, is killed, or cannot start, and the messages about it."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.failures import AttemptFailed
from mnist_tune.processes import fork_server
from mnist_tune.processes.child_process import Ending
from mnist_tune.worker.child import ProcessDied, TrainingProcess
from mnist_tune.worker.messages import Began, Run, SetUp, Trained
from mnist_tune.worker.runner import _of_death
from mnist_tune.worker.signals import Interrupted
from tests.support.specs import TINY_SPEC
from tests.support.trained_attempts import FIVE_EPOCHS, attempts_in, start_training_process


@pytest.mark.slow
def test_a_trial_that_hangs_is_killed_at_its_limit_and_the_next_one_runs(
    tmp_path: Path, mnist_directory: Path
) -> None:
    with start_training_process(tmp_path / "states") as process:
        text = FIVE_EPOCHS.replace("epochs = 5", "epochs = 300") + "timeout = 2.0\n"
        this = attempts_in(tmp_path, process, tmp_path / "states", text)
        pid = process.pid
        threading.Timer(0.5, lambda: os.kill(pid, signal.SIGSTOP)).start()  # no step ends any more
        with pytest.raises(AttemptFailed) as failed:
            this.run(this.attempt())
        assert failed.value.failure.kind == "timeout"
        assert "limits.timeout, 2 s" in failed.value.failure.reason
        assert not process.is_running
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        folder = tmp_path / "after"
        folder.mkdir()
        after = attempts_in(folder, process, tmp_path / "states", TINY_SPEC)
        after.run(after.attempt())
        assert process.pid != pid


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (signal.SIGKILL, "lost"),
        pytest.param(signal.SIGSEGV, "exception", marks=pytest.mark.slow),
    ],
)
def test_a_training_process_that_dies_is_a_failure_with_its_signal(
    tmp_path: Path, mnist_directory: Path, number: signal.Signals, kind: str
) -> None:
    with start_training_process(tmp_path / "states") as process:
        this = attempts_in(tmp_path, process, tmp_path / "states", FIVE_EPOCHS.replace("= 5", "= 300"))
        pid = process.pid
        threading.Timer(0.5, lambda: os.kill(pid, number)).start()
        with pytest.raises(AttemptFailed) as failed:
            this.run(this.attempt())
        assert failed.value.failure.kind == kind
        assert f"was killed by {number.name}" in failed.value.failure.reason
        assert not process.is_running


def test_asked_twice_the_training_is_killed_at_once(tmp_path: Path, mnist_directory: Path) -> None:
    with start_training_process(tmp_path / "states") as process:
        this = attempts_in(tmp_path, process, tmp_path / "states", FIVE_EPOCHS.replace("= 5", "= 300"))
        os.kill(process.pid, signal.SIGSTOP)  # it would never reach the end of its epoch
        this.stop.request("once")
        threading.Timer(0.3, lambda: this.stop.request("twice")).start()
        with pytest.raises(Interrupted, match="twice"):
            this.run(this.attempt())
        assert not process.is_running


def test_a_training_process_that_cannot_read_its_orders_says_so_and_ends(
    tmp_path: Path, mnist_directory: Path
) -> None:
    with start_training_process(tmp_path) as process:
        assert process._connection is not None
        process._connection.send_bytes(b"no message of ours")
        with pytest.raises(ProcessDied, match=r"exited with 1: .*JSONDecodeError"):
            process.receive(60)


def test_a_training_process_does_not_outlive_its_worker(tmp_path: Path, mnist_directory: Path) -> None:
    process = start_training_process(tmp_path)
    pid = process.pid
    assert process._connection is not None
    process.send(Run({"epochs": 300, "precision": "fp32"}, None, 1, "ab" * 16, 0.0))
    process._connection.close()  # as the kernel does when the worker is killed
    assert process._process is not None
    assert process._process.child.wait(30) == Ending(0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_device_that_is_not_there_is_the_users_mistake(tmp_path: Path, mnist_directory: Path) -> None:
    with TrainingProcess(
        SetUp("cuda:7", None, None, {"train_size": 200, "validation_size": 100}, tmp_path)
    ) as process:
        process.start()
        with pytest.raises(UserError, match="device 'cuda:7' is not there"):
            process.wait_until_ready(lambda: None)


def put_in_torchs_place(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Have the next training process, started without a fork server, import this text as torch."""
    (folder / "torch.py").write_text(script, encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(fork_server, "start_method", lambda: "spawn")


def test_why_a_training_process_cannot_start_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_in_torchs_place(
        tmp_path, monkeypatch, "raise OSError('libgomp.so.1: cannot open shared object file')"
    )
    with TrainingProcess(
        SetUp("cpu", None, None, {"train_size": 200, "validation_size": 100}, tmp_path)
    ) as process:
        process.start()
        with pytest.raises(MnistTuneError) as refused:
            process.wait_until_ready(lambda: None)
    assert str(refused.value) == (
        "the training process did not become ready: "
        "it exited with 1: OSError: libgomp.so.1: cannot open shared object file"
    )


def test_why_a_training_process_died_is_in_the_failure_and_the_log(
    tmp_path: Path, mnist_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start_training_process(tmp_path / "states") as process:
        this = attempts_in(tmp_path, process, tmp_path / "states", TINY_SPEC)
        process.kill()  # as after a failure: the next trial starts a new one
        script = "import os; os.write(2, b'CUDA driver: no\\x1b[31m such thing\\nAborted\\n'); os.abort()"
        put_in_torchs_place(tmp_path, monkeypatch, script)
        attempt = this.attempt()
        with pytest.raises(AttemptFailed) as failed:
            this.run(attempt)
        failure = failed.value.failure
        assert failure.kind == "exception"
        assert failure.reason.splitlines()[0] == "the training process was killed by SIGABRT: Aborted"
        assert any("CUDA driver: no" in line for line in failure.reason.splitlines()[1:])
        assert any("the training process said: CUDA driver: no" in line for line in this.lines)
        assert not process.is_running


@pytest.mark.slow
def test_a_process_that_refuses_after_a_restart_makes_room_for_the_next(
    tmp_path: Path, mnist_directory: Path
) -> None:
    with start_training_process(tmp_path / "states") as process:
        this = attempts_in(tmp_path, process, tmp_path / "states", TINY_SPEC)
        good = process._setup
        process.kill()
        process._setup = SetUp("cuda:7", None, None, {"train_size": 200, "validation_size": 100}, tmp_path)
        with pytest.raises(AttemptFailed, match="device 'cuda:7' is not there"):
            this.run(this.attempt())
        assert not process.is_running
        process._setup = good
        assert this.run(this.attempt()) > 0


def test_a_training_that_ends_before_its_first_epoch_is_no_result(tmp_path: Path) -> None:
    process = TrainingProcess()
    messages = iter([Began({}), Trained({})])
    process.start()
    process.receive = lambda _: next(messages)  # type: ignore[method-assign,assignment]
    with process:
        this = attempts_in(tmp_path, process, tmp_path / "states", TINY_SPEC)
        with pytest.raises(AttemptFailed, match="ended before its first epoch"):
            this.run(this.attempt())
        assert not process.is_running


@pytest.mark.parametrize(
    ("code", "kind"),
    [(-signal.SIGKILL, "lost"), (-signal.SIGBUS, "exception"), (9, "exception"), (None, "lost")],
)
def test_the_class_of_a_failure_is_that_of_the_signal_and_not_of_a_text(code: int | None, kind: str) -> None:
    assert _of_death(ProcessDied(Ending(code), ["it said: SIGKILL"])).kind == kind
