"""One training worker among all: its rank, its device, and what it shares with the others."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from otcondense.diffusion.training import TrainState


@dataclass(frozen=True)
class Workers:
    """One worker among all: a lone one unless Ray Train says otherwise."""

    rank: int = 0
    world_size: int = 1
    device: str = "cpu"
    report: Callable[[dict[str, Any]], None] = field(default=lambda _: None)

    def wrap(self, state: TrainState) -> None:
        """Let gradients be averaged over the workers."""
        if self.world_size > 1:
            devices = [torch.device(self.device)] if self.device != "cpu" else None
            state.network = DistributedDataParallel(
                state.model, devices, broadcast_buffers=False, gradient_as_bucket_view=True
            )

    def mean(self, values: Tensor) -> list[float]:
        """Return the averages of `values` [k] over the workers."""
        total = values.detach().clone().double()
        if self.world_size > 1:
            torch.distributed.all_reduce(total)
        return [value / self.world_size for value in total.tolist()]
