import pytest
import torch
from torch import Tensor

from mnist_tune.hardware.devices import Precision, Runtime
from mnist_tune.jobs.mnist.dataset import LabeledImages
from mnist_tune.jobs.mnist.fast_network import WorkingModel
from mnist_tune.jobs.mnist.hyperparameters import Optimizer, TrainingConfig
from mnist_tune.jobs.mnist.network import ConvNet
from mnist_tune.jobs.mnist.optimizers import new_optimizer
from mnist_tune.jobs.mnist.steps import WARM_UP_STEPS, CudaGraph, Steps
from mnist_tune.jobs.mnist.trainer import Trainer

BF16 = Runtime("cpu", "a CPU", "bf16", 1)


@pytest.fixture(autouse=True)
def same_weights_every_time() -> None:
    torch.manual_seed(0)


class Recorded(LabeledImages):
    """Images that record which of them were taken."""

    taken: list[list[int]]

    def take(self, which: Tensor) -> LabeledImages:
        self.taken.append(which.tolist())
        return super().take(which)


def images(n: int) -> Recorded:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (n, 1, 28, 28), dtype=torch.uint8, generator=generator)
    recorded = Recorded(pixels, torch.arange(n) % 10)
    object.__setattr__(recorded, "taken", [])
    return recorded


def steps(data: LabeledImages, batch_size: int) -> Steps:
    model = WorkingModel(ConvNet(), BF16)
    return Steps(model, torch.optim.SGD(model.parameters, lr=0.01), data, batch_size, BF16)


@pytest.mark.parametrize("batch_size", [1, 4, 5, 6, 10, 11, 100])
def test_an_epoch_takes_each_image_once_in_the_order_given(batch_size: int) -> None:
    data = images(11)
    of_eleven = steps(data, batch_size)
    for seed in (0, 1):
        order = torch.randperm(11, generator=torch.Generator().manual_seed(seed))
        of_eleven.run(order, None)
        assert data.taken == [rows.tolist() for rows in torch.split(order, batch_size)]
        data.taken.clear()


def test_the_mean_loss_weighs_a_smaller_last_batch_by_its_images() -> None:
    data = images(7)
    model = WorkingModel(ConvNet(), BF16)
    still = torch.optim.SGD(model.parameters, lr=0.0)
    losses = [Steps(model, still, data, size, BF16).run(torch.arange(7), None) for size in (7, 4, 1)]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("optimizer", ["Adam", "SGD"])
def test_a_recorded_step_trains_as_the_steps_one_by_one_do(
    optimizer: Optimizer, precision: Precision
) -> None:
    cuda = Runtime("cuda:0", "a GPU", precision, 1)
    cuda.apply()
    config = TrainingConfig(optimizer=optimizer, batch_size=60)
    data = images(640).to("cuda:0").normalized(cuda.dtype)
    losses = []
    for recorded in (True, True, False):  # the second on the stream that the first has used
        torch.manual_seed(0)
        model = WorkingModel(ConvNet(), cuda)
        of_all = Steps(model, new_optimizer(config, model, cuda), data, config.batch_size, cuda)
        if not recorded:
            of_all._run_whole = lambda step: step()
        losses.append([of_all.run(torch.arange(640), None) for _ in range(3)])
        assert isinstance(of_all._run_whole, CudaGraph) is recorded
    assert WARM_UP_STEPS < 640 // 60
    assert losses[0] == losses[1]
    assert losses[0] == pytest.approx(losses[2], rel=1e-2)
    assert losses[0][0] > losses[0][2]


@pytest.mark.gpu
def test_a_recorded_step_follows_schedule_augmentation_and_average() -> None:
    cuda = Runtime("cuda:0", "a GPU", "bf16", 1)
    config = TrainingConfig(
        batch_size=60,
        epochs=3,
        weight_decay=1e-4,
        scheduler="one_cycle",
        label_smoothing=0.1,
        augmentation_shift=2,
        augmentation_rotation=10,
        ema_decay=0.9,
    )
    losses = []
    for recorded in (True, False):
        trainer = Trainer(config, cuda, images(640), images(100))
        if not recorded:
            trainer._steps._run_whole = lambda step: step()
        losses.append([metrics["validation_loss"] for metrics in trainer.epochs()])
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)
    dropping = config.model_copy(update={"dropout": 0.5})
    first, again = (Trainer(dropping, cuda, images(640), images(100)) for _ in range(2))
    for one, other in zip(first.epochs(), again.epochs(), strict=True):
        assert one["validation_loss"] == other["validation_loss"]
