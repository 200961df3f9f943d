"""A moving average of the weights over the steps, by torch.optim.swa_utils."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn


class AveragedWeights:
    """Exponentially weighted: `weights` keep `decay` of themselves at each step."""

    def __init__(self, parameters: Sequence[Tensor], decay: float) -> None:
        self._parameters = parameters
        self._average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        self.weights: list[Tensor] = [parameter.detach().clone() for parameter in parameters]

    @torch.no_grad()
    def update(self) -> None:
        """After a step: take in the parameters as they are now."""
        self._average(self.weights, self._parameters, None)
