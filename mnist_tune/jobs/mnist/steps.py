"""The steps of an epoch. Their tensors stay in place, so that a GPU can replay a recorded step."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from mnist_tune.hardware.devices import Runtime
from mnist_tune.jobs.mnist.augmentation import Augmentation
from mnist_tune.jobs.mnist.dataset import IMAGE, LabeledImages
from mnist_tune.jobs.mnist.fast_network import WorkingModel
from mnist_tune.jobs.mnist.schedules import Schedule
from mnist_tune.jobs.mnist.weight_average import AveragedWeights

WARM_UP_STEPS = 3
"""Steps that run before a graph is recorded, on the same stream.

By then libraries have their workspaces there, and the optimizer has its moments.
"""


class Steps:
    """Training steps over the images in a given order.

    The order, the position in it and the sum of losses are tensors on the device: between steps nothing is
    copied from the host or to it.
    """

    def __init__(
        self,
        model: WorkingModel,
        optimizer: torch.optim.Optimizer,
        images: LabeledImages,
        batch_size: int,
        runtime: Runtime,
        *,
        label_smoothing: float = 0.0,
        augmentation: Augmentation | None = None,
        schedule: Schedule | None = None,
        averaged: AveragedWeights | None = None,
    ) -> None:
        self._model = model
        self._optimizer = optimizer
        self._images = images
        self._batch_size = batch_size
        self._label_smoothing = label_smoothing
        self._augmentation = augmentation
        self._schedule = schedule
        self._averaged = averaged
        n, device = len(images), runtime.device
        self._order = torch.zeros(n, dtype=torch.int64, device=device)
        self._start = torch.zeros((), dtype=torch.int64, device=device)
        self._offsets = torch.arange(min(batch_size, n), device=device)
        self._loss = torch.zeros((), device=device)
        self._augmented = torch.zeros((len(self._offsets) if augmentation else 0, *IMAGE), device=device)
        self._run_whole = CudaGraph() if runtime.is_cuda else _at_once

    def run(self, order: Tensor, on_batch: Callable[[], None] | None) -> float:
        """Train one epoch over the images in `order` (n,); returns the mean loss.

        `on_batch` is called before every step: on a GPU that is when the step is queued, not when it runs.
        """
        self._order.copy_(order)
        self._start.zero_()
        self._loss.zero_()
        whole, rest = divmod(len(order), self._batch_size)
        for _ in range(whole):
            if on_batch is not None:
                on_batch()
            self._augment(self._offsets)
            self._run_whole(self._whole_step)
        if rest:
            if on_batch is not None:
                on_batch()
            self._augment(self._offsets[:rest])
            self._step(self._offsets[:rest])
        return float(self._loss) / len(order)

    def _augment(self, offsets: Tensor) -> None:
        # Outside the recorded step, which would repeat one transform for ever: transforms are drawn on the
        # host.
        if self._augmentation is not None:
            self._augmented[: len(offsets)] = self._augmentation(self._batch(offsets).images)

    def _batch(self, offsets: Tensor) -> LabeledImages:
        return self._images.take(self._order.index_select(0, self._start + offsets))

    def _whole_step(self) -> None:
        self._step(self._offsets)

    def _step(self, offsets: Tensor) -> None:
        batch = self._batch(offsets)
        images = batch.images if self._augmentation is None else self._augmented[: len(offsets)]
        loss = F.cross_entropy(self._model(images), batch.labels, label_smoothing=self._label_smoothing)
        self._model.backward(loss)
        if self._schedule is not None:
            self._schedule.step()
        self._optimizer.step()
        self._model.refresh()
        if self._averaged is not None:
            self._averaged.update()
        self._loss += loss.detach() * len(offsets)
        self._start += len(offsets)


class CudaGraph:
    """Runs a step as one recorded launch; its fifty launches take longer than the GPU's computation.

    The first steps run unrecorded on a separate stream, as torch demands before a recording.
    """

    def __init__(self) -> None:
        self._warm = 0
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, step: Callable[[], None]) -> None:
        """Run the step, which must be the same one at every call."""
        if self._graph is None and self._warm < WARM_UP_STEPS:
            self._warm += 1
            self._beside(step)
            return
        if self._graph is None:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=_stream(torch.cuda.current_device())):  # runs nothing
                step()
            self._graph = graph
        self._graph.replay()

    def _beside(self, step: Callable[[], None]) -> None:
        stream = _stream(torch.cuda.current_device())
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            step()
        torch.cuda.current_stream().wait_stream(stream)


@functools.cache
def _stream(device: int) -> torch.cuda.Stream:
    # One stream for all trials: libraries keep a workspace for each stream that they have seen.
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def _at_once(step: Callable[[], None]) -> None:
    step()
