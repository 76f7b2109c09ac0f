"""One training worker: its rank, its device, and its exchange with the other workers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from otcondense.diffusion.training import TrainState


@dataclass(frozen=True)
class Workers:
    """One of the workers; by default the only one."""

    rank: int = 0
    world_size: int = 1
    device: str = "cpu"
    report: Callable[[dict[str, Any]], None] = field(default=lambda _: None)
    """Receives the step and the loss at each checkpoint."""

    def wrap(self, state: TrainState) -> None:
        """Average gradients over the workers from now on."""
        if self.world_size == 1:
            return
        devices = None if self.device == "cpu" else [torch.device(self.device)]
        state.network = DistributedDataParallel(
            state.model, devices, broadcast_buffers=False, gradient_as_bucket_view=True
        )

    def mean(self, values: Tensor) -> list[float]:
        """Return the averages of `values` [k] over the workers."""
        total = values.detach().clone().double()
        if self.world_size > 1:
            torch.distributed.all_reduce(total)
        return [value / self.world_size for value in total.tolist()]

    def gather(self, values: Tensor) -> list[list[float]]:
        """Return the `values` [k] of every worker, by rank."""
        own = values.detach()
        if self.world_size == 1:
            return [own.tolist()]
        all_values = [torch.empty_like(own) for _ in range(self.world_size)]
        torch.distributed.all_gather(all_values, own)
        return [each.tolist() for each in all_values]
