"""A moving average of the weights over the steps, by torch.optim.swa_utils."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn


class AveragedWeights:
    """An exponential average: at each step `weights` keep the share `decay` of themselves."""

    def __init__(self, parameters: Sequence[Tensor], decay: float) -> None:
        self._parameters = parameters
        self._average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        self.weights: list[Tensor] = [parameter.detach().clone() for parameter in parameters]

    @torch.no_grad()
    def update(self) -> None:
        """Add the present parameters to the average; call it after each step."""
        self._average(self.weights, self._parameters, None)
