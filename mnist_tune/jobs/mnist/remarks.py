"""Looks at a study of the MNIST job before it is made, for fields that have no effect in it."""

from __future__ import annotations

from collections.abc import Iterator

from mnist_tune.jobs.mnist.hyperparameters import DataConfig, TrainingConfig
from mnist_tune.jobs.plan import Plan, Range, Remark

OF_SGD = ("momentum", "nesterov")
"""Fields that Adam does not use."""


def check(plan: Plan, settings: TrainingConfig, data: DataConfig) -> Iterator[Remark]:
    """What is wrong with the plan or has no effect."""
    mistake = _field_of_another_optimizer(plan, settings)
    if mistake is not None:
        yield mistake
        return
    yield from _of_sgd(plan, settings)
    largest = max(plan.values("batch_size", settings.batch_size))
    if largest > data.train_size:
        text = f"{largest:,} is the same as {data.train_size:,}: there are no more training images"
        yield Remark(key=plan.key("batch_size"), text=text)


def _field_of_another_optimizer(plan: Plan, settings: TrainingConfig) -> Remark | None:
    if "optimizer" in plan.searched or settings.optimizer == "SGD":
        return None
    # A spec may have its defaults written out, so only values that are not 0 count.
    fixed = [name for name in OF_SGD if name not in plan.searched and getattr(settings, name)]
    for name in (*fixed, *(name for name in OF_SGD if name in plan.searched)):
        text = 'is a field of SGD and the optimizer is Adam; remove it, or write optimizer = "SGD"'
        return Remark(key=plan.key(name), text=text, is_mistake=True)
    return None


def _of_sgd(plan: Plan, settings: TrainingConfig) -> Iterator[Remark]:
    optimizers = plan.values("optimizer", settings.optimizer)
    for name in OF_SGD:
        is_searched = name in plan.searched
        if not is_searched and not getattr(settings, name):
            continue
        if "SGD" not in optimizers:
            text = 'is a field of SGD, and the optimizer is never "SGD"'
            yield Remark(key=plan.key(name), text=text)
        elif is_searched and "Adam" in optimizers and "optimizer" not in plan.conditions.get(name, ()):
            text = 'is a field of SGD: trials with "Adam" that differ in it alone train the same'
            yield Remark(key=plan.key(name), text=text)
    if "nesterov" in plan.searched or settings.nesterov:
        is_range = isinstance(plan.searched.get("momentum"), Range)
        if not is_range and not any(plan.values("momentum", settings.momentum)) and "SGD" in optimizers:
            text = "without momentum it is the same as none; write momentum = 0.9 as well"
            yield Remark(key=plan.key("nesterov"), text=text)
