"""The number of workers of a training that is left to the cluster."""

from otcondense.diffusion.training_config import TrainingConfig

LEAST_IMAGES = 16
"""Images of a step that each worker has at least when the number of workers is automatic.

With fewer, averaging the gradients of DiT-L/2 takes longer than computing them (docs/scaling.md).
"""


def largest_world_size(config: TrainingConfig, room: int) -> int:
    """Return the largest number of workers that divides the batch, at most `room`."""
    batch = config.global_batch_size
    most = max(1, min(room, batch // LEAST_IMAGES))
    sizes = range(most, 0, -1)
    return next(size for size in sizes if batch % (size * config.accumulation) == 0)
