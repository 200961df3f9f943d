import pytest
import torch

from mnist_tune.jobs.mnist.hyperparameters import Scheduler, TrainingConfig
from mnist_tune.jobs.mnist.schedules import Schedule, learning_rates


def plain_rates(scheduler: Scheduler, n_steps: int) -> list[float]:
    """The learning rates that a scheduler in a plain script sets in its optimizer."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=0.01)
    driver: torch.optim.lr_scheduler.LRScheduler = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, T_max=n_steps
    )
    if scheduler == "one_cycle":
        optimizer = torch.optim.SGD([weight], lr=0.01)
        driver = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=0.01, total_steps=n_steps, cycle_momentum=False
        )
    rates = []
    for _ in range(n_steps):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        driver.step()
    return rates


@pytest.mark.parametrize("scheduler", ["cosine", "one_cycle"])
@pytest.mark.filterwarnings("error")
def test_the_rates_are_those_of_pytorchs_scheduler(scheduler: Scheduler) -> None:
    config = TrainingConfig(scheduler=scheduler, learning_rate=0.01)
    for n_steps in (1, 2, 50):
        assert list(learning_rates(config, n_steps)) == plain_rates(scheduler, n_steps)


def test_cosine_falls_from_the_learning_rate_and_one_cycle_rises_to_it_first() -> None:
    cosine = list(learning_rates(TrainingConfig(scheduler="cosine", learning_rate=0.01), 100))
    assert cosine == sorted(cosine, reverse=True)
    assert cosine[0] == 0.01
    assert 0 < cosine[-1] < 1e-5
    one_cycle = list(learning_rates(TrainingConfig(scheduler="one_cycle", learning_rate=0.01), 101))
    assert one_cycle.index(max(one_cycle)) == pytest.approx(30, abs=1)
    assert max(one_cycle) == pytest.approx(0.01, rel=1e-3)
    assert one_cycle[-1] < one_cycle[0] < 0.001


def test_each_step_finds_its_rate_in_whatever_order_the_epochs_are_begun() -> None:
    config = TrainingConfig(scheduler="one_cycle", learning_rate=0.01, epochs=3)
    rates = list(learning_rates(config, 12))
    schedule = Schedule(config, steps_per_epoch=4, device="cpu")
    for epoch in (2, 3, 1, 1, 3):
        schedule.begin(epoch)
        found = []
        for _ in range(4):
            schedule.step()
            found.append(float(schedule.learning_rate))
        assert found == pytest.approx(rates[4 * (epoch - 1) : 4 * epoch])
