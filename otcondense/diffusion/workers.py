"""One training worker: its rank, its device, and its exchange with the other workers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import bf16_compress_hook
from torch.nn.parallel import DistributedDataParallel

from otcondense.diffusion.training import TrainState
from otcondense.diffusion.training_config import TrainingConfig


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
        network = DistributedDataParallel(state.model, devices, gradient_as_bucket_view=True)
        network.broadcast_buffers = False  # no step changes a buffer
        if self.rounds_gradients(state.config):
            network.register_comm_hook(None, bf16_compress_hook)
        state.network = network

    def rounds_gradients(self, config: TrainingConfig) -> bool:
        """Return whether the workers exchange gradients in bfloat16.

        Each rounds its own, divided by the number of workers, and the sum is rounded too. Results
        on CPUs stay as they are unless it is asked for.
        """
        if config.gradient_compression == "auto":
            return config.precision == "bfloat16" and self.device != "cpu"
        return config.gradient_compression == "bfloat16"

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
