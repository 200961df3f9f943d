"""The training process of a worker: real epochs, and every way in which it can end."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mnist_tune.errors import MnistTuneError, UserError
from mnist_tune.failures import AttemptFailed, Pruned
from mnist_tune.files.checkpoints import CheckpointFolder
from mnist_tune.hardware.devices import Runtime
from mnist_tune.jobs.mnist.dataset import load_training_images, split
from mnist_tune.jobs.mnist.hyperparameters import DataConfig
from mnist_tune.jobs.mnist.trainer import Trainer
from mnist_tune.jobs.model_folder import MODEL_FILE
from mnist_tune.processes import fork_server
from mnist_tune.processes.child_process import Ending
from mnist_tune.queue.lease import Lease, LeaseLost
from mnist_tune.results.reading import read_results
from mnist_tune.search.pruners import Decision
from mnist_tune.storage.artifacts import ArtifactFolder
from mnist_tune.storage.retrying import Patience
from mnist_tune.study.open_study import OpenStudy
from mnist_tune.worker.attempt import Attempt
from mnist_tune.worker.child import ProcessDied, TrainingProcess
from mnist_tune.worker.messages import Began, Run, SetUp, Trained
from mnist_tune.worker.runner import Objective, _of_death
from mnist_tune.worker.signals import Interrupted, StopRequest
from tests.support.specs import TINY_SPEC
from tests.support.studies import measured, new_study

FIVE_EPOCHS = TINY_SPEC.replace("epochs = 2", "epochs = 5") + "\n[limits]\ncheckpoint_interval = 0\n"


@pytest.fixture(scope="module")
def process(
    tmp_path_factory: pytest.TempPathFactory, mnist_directory: Path
) -> Iterator[tuple[TrainingProcess, Path]]:
    """A process that has loaded its data, for the tests that leave it alive, and its folder of states."""
    folder = tmp_path_factory.mktemp("states")
    with start_training_process(folder) as process:
        yield process, folder


def start_training_process(folder: Path) -> TrainingProcess:
    process = TrainingProcess(
        SetUp("cpu", None, None, DataConfig(train_size=200, validation_size=100), folder)
    )
    process.start()
    process.wait_until_ready(lambda: None)
    return process


@dataclass
class TrainedAttempts:
    """One attempt after another at the cells of a study, without the worker's loop."""

    study: OpenStudy
    process: TrainingProcess
    states: CheckpointFolder
    artifacts: ArtifactFolder

    def __post_init__(self) -> None:
        self.queue = self.study.queue()
        self.stop = StopRequest()
        self.lines: list[str] = []
        self.ask = Patience(1.0, self.lines.append, lambda: False)

    def attempt(
        self, log: Callable[[str], None] | None = None, decide: Callable[[int], Decision] | None = None
    ) -> Attempt:
        claim = self.queue.claim("bench")
        assert claim is not None
        lease = Lease(60.0)
        say = log or self.lines.append
        attempt = Attempt(self.queue, claim, lease, self.stop, say, self.states, self.artifacts, decide)
        attempt.parameters = claim.parameters
        return attempt

    def run(self, attempt: Attempt) -> float:
        return Objective(self.study.spec, self.process)(attempt)

    def give_back(self, attempt: Attempt, failed: AttemptFailed) -> None:
        attempt.give_back(failed.failure, self.ask)


def attempts_in(folder: Path, process: TrainingProcess, states: Path, text: str) -> TrainedAttempts:
    return TrainedAttempts(
        new_study(folder, text), process, CheckpointFolder(states), ArtifactFolder(folder / "artifacts")
    )


AttemptsOf = Callable[[str], TrainedAttempts]


@pytest.fixture
def attempts_of(tmp_path: Path, process: tuple[TrainingProcess, Path]) -> AttemptsOf:
    return lambda text: attempts_in(tmp_path, process[0], process[1], text)


def test_a_trial_ends_with_its_value_history_log_and_weights(attempts_of: AttemptsOf, tmp_path: Path) -> None:
    from optuna.artifacts import download_artifact, get_all_artifact_meta

    from mnist_tune.jobs.mnist.network import load_model

    this = attempts_of(TINY_SPEC)
    attempt = this.attempt()
    value = this.run(attempt)
    attempt.complete(value, this.ask)
    stored = read_results(this.study).attempts[0]
    assert (stored.state, stored.value) == ("complete", value)
    assert [epoch.epoch for epoch in stored.history] == [1, 2]
    assert stored.environment["precision"] == "fp32"
    trial = this.study.optuna_study().trials[0]
    assert trial.intermediate_values == {epoch.epoch: epoch.validation_accuracy for epoch in stored.history}
    kept = {meta.filename: meta for meta in get_all_artifact_meta(trial, storage=this.study.storage)}
    assert set(kept) == {"log.txt", MODEL_FILE}
    for name, meta in kept.items():
        download_artifact(
            artifact_store=this.artifacts, artifact_id=meta.artifact_id, file_path=str(tmp_path / name)
        )
    assert "epoch 2/2: training loss" in (tmp_path / "log.txt").read_text()
    assert len(load_model(tmp_path / MODEL_FILE).state_dict()) == 8


def test_a_drained_trial_goes_on_to_the_same_bits(attempts_of: AttemptsOf) -> None:
    this = attempts_of(FIVE_EPOCHS)
    whole = this.attempt()
    whole.complete(this.run(whole), this.ask)

    # The same cell again, stopped in its second epoch.
    again = attempts_beside(this)
    first = again.attempt(lambda line: again.stop.request("drained") if "epoch 1/5" in line else None)
    with pytest.raises(AttemptFailed) as failed:
        again.run(first)
    assert failed.value.failure.kind == "preempted"
    assert failed.value.failure.reason == "drained; stopped after epoch 2"
    again.give_back(first, failed.value)
    again.stop = StopRequest()
    assert any(name.endswith("-2.pt") for name in again.states.keys())  # noqa: SIM118 - no dict
    while (second := again.attempt()).claim.checkpoint is None:
        second.complete(0.0, again.ask)
    value = again.run(second)
    second.complete(value, again.ask)
    assert any("goes on after epoch 2" in line for line in again.lines)
    assert not any("epoch 2/5" in line for line in again.lines)

    expected = read_results(this.study).attempts[0]
    resumed = read_results(again.study).attempts[second.claim.number]
    assert measured(resumed.history) == measured(expected.history)
    assert resumed.value == expected.value
    assert again.study.optuna_study().trials[second.claim.number].intermediate_values == {
        epoch.epoch: epoch.validation_accuracy for epoch in expected.history
    }
    assert again.states.keys() == []


def attempts_beside(this: TrainedAttempts) -> TrainedAttempts:
    folder = Path(this.study.storage.engine.url.database or "").parent / "next"
    folder.mkdir()
    return attempts_in(folder, this.process, this.states.path, FIVE_EPOCHS)


@pytest.mark.parametrize("harm", ["damaged", pytest.param("deleted", marks=pytest.mark.slow)])
def test_a_checkpoint_that_is_gone_or_damaged_means_the_first_epoch_and_is_said(
    attempts_of: AttemptsOf, harm: str
) -> None:
    this = attempts_of(FIVE_EPOCHS)
    first = this.attempt(lambda line: this.stop.request("drained") if "epoch 1/5" in line else None)
    with pytest.raises(AttemptFailed) as failed:
        this.run(first)
    this.give_back(first, failed.value)
    this.stop = StopRequest()
    (name,) = this.states.keys()
    path = this.states.path / name
    if harm == "deleted":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    while (second := this.attempt()).claim.checkpoint is None:
        second.complete(0.0, this.ask)
    second.complete(this.run(second), this.ask)
    said = "is not there" if harm == "deleted" else "is damaged: its hash differs"
    assert any("begins at the first epoch" in line and said in line for line in this.lines)
    stored = read_results(this.study).attempts[second.claim.number]
    assert [epoch.epoch for epoch in stored.history] == [1, 2, 3, 4, 5]
    trial = this.study.optuna_study().trials[second.claim.number]
    assert said in trial.user_attrs["resumed"]["problem"]
    path.unlink(missing_ok=True)


def test_a_lost_lease_frees_the_process_at_the_next_batch(attempts_of: AttemptsOf) -> None:
    this = attempts_of(TINY_SPEC.replace("epochs = 2", "epochs = 300"))
    attempt = this.attempt()
    attempt._lease = Lease(1.0)  # and nobody renews it while no epoch ends
    attempt.epoch_done = lambda *_, **__: None  # type: ignore[method-assign]
    with pytest.raises(LeaseLost):
        this.run(attempt)
    assert this.process.is_running
    following = attempts_beside(this)
    following.run(following.attempt())


def test_a_pruned_trial_leaves_nothing_to_the_next_though_the_process_is_an_epoch_ahead(
    attempts_of: AttemptsOf,
) -> None:
    this = attempts_of(FIVE_EPOCHS)
    others = set(this.states.keys())
    pruned = this.attempt(decide=lambda _: Decision(True, {}))
    with pytest.raises(Pruned):
        this.run(pruned)
    pruned.prune(this.ask)
    assert this.process.is_running
    following = this.attempt()
    following.complete(this.run(following), this.ask)
    first, second = read_results(this.study).attempts[:2]
    assert (first.state, len(first.history)) == ("pruned", 1)
    assert set(this.states.keys()) == others  # neither the epoch's state nor one from ahead
    assert [metrics.epoch for metrics in second.history] == [1, 2, 3, 4, 5]
    alone = Trainer(
        this.study.spec.training_config(second.parameters),
        Runtime("cpu", "a CPU", "fp32", 1),
        *split(load_training_images(), 200, 100),
    )
    assert [metrics.training_loss for metrics in alone.epochs()] == [
        metrics.training_loss for metrics in second.history
    ]


def test_a_diverging_trial_fails_as_non_finite_and_the_process_goes_on(attempts_of: AttemptsOf) -> None:
    this = attempts_of(TINY_SPEC.replace("[0.001, 0.0001]", "[1e30]").replace('["Adam", "SGD"]', '["SGD"]'))
    with pytest.raises(AttemptFailed) as failed:
        this.run(this.attempt())
    assert failed.value.failure.kind == "non_finite"
    assert this.process.is_running


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
        with pytest.raises(ProcessDied, match=r"exited with 1: .*UnpicklingError"):
            process.receive(60)


def test_a_training_process_does_not_outlive_its_worker(tmp_path: Path, mnist_directory: Path) -> None:
    process = start_training_process(tmp_path)
    pid = process.pid
    assert process._connection is not None
    process.send(Run(config_of_300_epochs(), None, 1, "ab" * 16, 0.0))
    process._connection.close()  # as the kernel does when the worker is killed
    assert process._process is not None
    assert process._process.child.wait(30) == Ending(0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def config_of_300_epochs() -> Any:
    from mnist_tune.jobs.mnist.hyperparameters import TrainingConfig

    return TrainingConfig(epochs=300, precision="fp32")


def test_a_device_that_is_not_there_is_the_users_mistake(tmp_path: Path, mnist_directory: Path) -> None:
    with TrainingProcess(
        SetUp("cuda:7", None, None, DataConfig(train_size=200, validation_size=100), tmp_path)
    ) as process:
        process.start()
        with pytest.raises(UserError, match="device 'cuda:7' is not there"):
            process.wait_until_ready(lambda: None)


def put_in_torchs_place(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Have the next training process find this in torch's place, the fork server being gone."""
    (folder / "torch.py").write_text(script, encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(fork_server, "start_method", lambda: "spawn")


def test_why_a_training_process_cannot_start_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_in_torchs_place(
        tmp_path, monkeypatch, "raise OSError('libgomp.so.1: cannot open shared object file')"
    )
    with TrainingProcess(
        SetUp("cpu", None, None, DataConfig(train_size=200, validation_size=100), tmp_path)
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


def test_a_process_that_refuses_after_a_restart_makes_room_for_the_next(
    tmp_path: Path, mnist_directory: Path
) -> None:
    with start_training_process(tmp_path / "states") as process:
        this = attempts_in(tmp_path, process, tmp_path / "states", TINY_SPEC)
        good = process._setup
        process.kill()
        process._setup = SetUp(
            "cuda:7", None, None, DataConfig(train_size=200, validation_size=100), tmp_path
        )
        with pytest.raises(AttemptFailed, match="device 'cuda:7' is not there"):
            this.run(this.attempt())
        assert not process.is_running
        process._setup = good
        assert this.run(this.attempt()) > 0


def test_a_training_that_ends_before_its_first_epoch_is_no_result(tmp_path: Path) -> None:
    process = TrainingProcess()
    messages = iter([Began({}), Trained(b"")])
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


def test_training_needs_no_optuna() -> None:
    import subprocess
    import sys

    script = (
        "import sys; sys.modules.update(optuna=None, sqlalchemy=None); "
        "import mnist_tune.worker.child_main, mnist_tune.jobs.mnist.trainer"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.slow
def test_a_worker_leaves_torch_to_its_training_process(tmp_path: Path, mnist_directory: Path) -> None:
    import subprocess
    import sys

    new_study(tmp_path)
    script = (
        "import sys; from mnist_tune.cli import app; "
        "app(['worker', 'tiny', '--max-trials', '1'], standalone_mode=False); "
        "sys.exit('torch' in sys.modules)"
    )
    url = {"MNIST_TUNE_STORAGE": f"sqlite:///{tmp_path}/studies.db"}
    subprocess.run([sys.executable, "-c", script], check=True, env=os.environ | url)
