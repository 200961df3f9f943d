"""The training process of a worker: real epochs, drained, resumed, lost and pruned."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mnist_tune.contract.lease import Lease
from mnist_tune.contract.study import Decision, LeaseLost
from mnist_tune.failures import AttemptFailed, Pruned
from mnist_tune.hardware.devices import Runtime
from mnist_tune.jobs.mnist.dataset import load_training_images, split
from mnist_tune.jobs.mnist.hyperparameters import TrainingConfig
from mnist_tune.jobs.mnist.network import MODEL_FILE
from mnist_tune.jobs.mnist.trainer import Trainer
from mnist_tune.results.reading import read_results
from mnist_tune.storage.artifacts import ArtifactFolder
from mnist_tune.worker.signals import StopRequest
from tests.support.specs import TINY_SPEC
from tests.support.studies import new_study, without_times
from tests.support.trained_attempts import FIVE_EPOCHS, AttemptsOf, TrainedAttempts, attempts_in


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
    assert trial.intermediate_values == {
        epoch.epoch: epoch["validation_accuracy"] for epoch in stored.history
    }
    kept = {meta.filename: meta for meta in get_all_artifact_meta(trial, storage=this.study.storage)}
    assert set(kept) == {"log.txt", MODEL_FILE}
    for name, meta in kept.items():
        download_artifact(
            artifact_store=ArtifactFolder(this.artifacts.path),
            artifact_id=meta.artifact_id,
            file_path=str(tmp_path / name),
        )
    assert "epoch 2/2: training loss" in (tmp_path / "log.txt").read_text()
    assert len(load_model(tmp_path / MODEL_FILE).state_dict()) == 8


@pytest.mark.slow
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
    assert without_times(resumed.history) == without_times(expected.history)
    assert resumed.value == expected.value
    assert again.study.optuna_study().trials[second.claim.number].intermediate_values == {
        epoch.epoch: epoch["validation_accuracy"] for epoch in expected.history
    }
    assert again.states.keys() == []


def attempts_beside(this: TrainedAttempts) -> TrainedAttempts:
    folder = Path(this.study.storage.engine.url.database or "").parent / "next"
    folder.mkdir()
    return attempts_in(folder, this.process, this.states.path, FIVE_EPOCHS)


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_lost_lease_frees_the_process_at_the_next_batch(attempts_of: AttemptsOf) -> None:
    this = attempts_of(TINY_SPEC.replace("epochs = 2", "epochs = 300"))
    attempt = this.attempt()
    attempt.trial._record.lease = Lease(1.0)  # and nobody renews it while no epoch ends
    attempt.trial.epoch_done = lambda *_, **__: None  # type: ignore[method-assign]
    with pytest.raises(LeaseLost):
        this.run(attempt)
    assert this.process.is_running
    following = attempts_beside(this)
    following.run(following.attempt())


@pytest.mark.slow
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
        TrainingConfig(**this.study.spec.configuration(second.parameters)),
        Runtime("cpu", "a CPU", "fp32", 1),
        *split(load_training_images(), 200, 100),
    )
    assert [metrics["training_loss"] for metrics in alone.epochs()] == [
        metrics["training_loss"] for metrics in second.history
    ]


def test_a_diverging_trial_fails_as_non_finite_and_the_process_goes_on(attempts_of: AttemptsOf) -> None:
    this = attempts_of(TINY_SPEC.replace("[0.001, 0.0001]", "[1e30]").replace('["Adam", "SGD"]', '["SGD"]'))
    with pytest.raises(AttemptFailed) as failed:
        this.run(this.attempt())
    assert failed.value.failure.kind == "non_finite"
    assert this.process.is_running


@pytest.mark.slow
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
