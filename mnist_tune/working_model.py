"""The network as training computes it: ConvNet's function and weights, arranged for the fast kernels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from mnist_tune.devices import Runtime
from mnist_tune.model import ConvNet

POOLED = (64, 14, 14)  # channels, height, width


class _ChannelsLastNet(ConvNet):
    """Flattens the pooled values as they lie in memory: nothing is moved, fc1's columns follow instead."""

    def flatten(self, pooled: Tensor) -> Tensor:
        return pooled.permute(0, 2, 3, 1).flatten(1)


class WorkingModel:
    """A ConvNet in training. Call it with normalised images for logits in float32.

    channels_last, fc1's columns with it: the convolutions' fastest layout, and no value moved between them
    and fc1 (1.06 times the speed of a step that does).

    In bf16 the weights that are computed with are copies of the fp32 `parameters`, which the optimizer
    steps; the numbers are autocast's, for two copies of all weights a step instead of a dozen casts.
    """

    def __init__(self, model: ConvNet, runtime: Runtime) -> None:
        """Take over the weights of `model`, which is not to be used any more."""
        net = _ChannelsLastNet.of({name: arranged(weight) for name, weight in model.state_dict().items()})
        net = net.to(runtime.device).to(memory_format=torch.channels_last)
        self.parameters: list[Tensor] = list(net.parameters())
        self._names = list(net.state_dict())
        self._dtype = runtime.dtype
        self._copies = self._dtype != torch.float32
        if self._copies:
            self.parameters = [nn.Parameter(weight.detach().clone()) for weight in self.parameters]
            self._gradients = [torch.zeros_like(parameter) for parameter in self.parameters]
            for parameter, gradient in zip(self.parameters, self._gradients, strict=True):
                parameter.grad = gradient
        self._net = net.to(self._dtype)
        self._weights: list[Tensor] = list(self._net.parameters())

    def __call__(self, images: Tensor) -> Tensor:
        logits: Tensor = self._net(images.to(self._dtype))
        return logits.float()

    def backward(self, loss: Tensor) -> None:
        """Give `parameters` their gradients."""
        for weight in self._weights:
            weight.grad = None
        torch.autograd.backward(loss)
        if self._copies:
            gradients = [weight.grad for weight in self._weights if weight.grad is not None]
            torch._foreach_copy_(self._gradients, gradients)

    @torch.no_grad()
    def refresh(self) -> None:
        """Compute with `parameters` as they are now: after each step of the optimizer."""
        if self._copies:
            torch._foreach_copy_(self._weights, self.parameters)

    def state_dict(self) -> dict[str, Tensor]:
        """The weights in fp32, named and arranged as ConvNet's."""
        return {name: plain(weight.detach()) for name, weight in self._named()}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Copy a ConvNet's weights. Raises KeyError, RuntimeError."""
        for name, weight in self._named():
            weight.copy_(arranged(state[name]))
        self.refresh()

    def _named(self) -> Iterator[tuple[str, Tensor]]:
        return zip(self._names, self.parameters, strict=True)


def arranged(tensor: Tensor) -> Tensor:
    """A weight of a ConvNet, or a moment of one, with the columns as training has them."""
    if not _is_of_fc1(tensor):
        return tensor
    return tensor.view(-1, *POOLED).permute(0, 2, 3, 1).flatten(1)


def plain(tensor: Tensor) -> Tensor:
    """The way back, into the plain memory layout."""
    if not _is_of_fc1(tensor):
        return tensor.contiguous()
    channels, height, width = POOLED
    return tensor.view(-1, height, width, channels).permute(0, 3, 1, 2).flatten(1)


def _is_of_fc1(tensor: Tensor) -> bool:
    channels, height, width = POOLED
    return tensor.ndim == 2 and tensor.shape[1] == channels * height * width
