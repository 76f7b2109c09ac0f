"""A grid of samples of the averaged model, drawn while it trains."""

import io
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image

from otcondense.diffusion.inputs import first_captions, first_labels
from otcondense.diffusion.registry import OBJECTIVES, resolve_objective
from otcondense.diffusion.sampler import (
    Decode,
    Prompted,
    SamplerConfig,
    of_trained,
    sample_batch,
)
from otcondense.diffusion.train_job import TrainJob, grid_file
from otcondense.diffusion.training import TrainState

COLUMNS = ROWS = 8
"""Images in a row and in a column of the grid."""
GRAY = 1
"""Channels of a grey image."""
RGB = 3
"""Channels of a colour image; further channels of the model are not shown."""


def write_grid(job: TrainJob, state: TrainState) -> None:
    """Sample 64 images with the averaged weights, and write them as a PNG.

    They are of the classes in turn; those of a model of captions are of the first captions.
    """
    latents = job.config.data == "latents"
    objective = resolve_objective(job.config.objective, job.config.model)
    settings = SamplerConfig(
        method=OBJECTIVES[objective].preview_method,
        num_steps=OBJECTIVES[objective].preview_steps,
        batch_size=ROWS * COLUMNS,
        noise_shift=job.config.noise_shift,
        clip=not latents,
        precision=job.config.precision,
        seed=job.config.seed,
    )
    settings = of_trained(settings, job.classes or range(job.num_classes), job.num_classes)

    decode = _decoder(job.inputs.autoencoder, state.ema.pos_embed.device.type) if latents else None
    indices, prompts = torch.arange(ROWS * COLUMNS), _prompts(job)
    images, _ = sample_batch(state.ema, objective, indices, settings, decode, None, prompts)
    job.store.write_bytes(grid_file(job.directory, state.step), _png(images.numpy()))


def _prompts(job: TrainJob) -> Prompted | None:
    """Return the first captions of the subset; None for a model of classes."""
    if not job.config.has_captions:
        return None
    count = ROWS * COLUMNS
    found = torch.from_numpy(first_captions(job.store, job.inputs, count))
    labels = first_labels(job.store, job.inputs, count)
    return Prompted(found, torch.tensor(labels))


@lru_cache(maxsize=1)
def _decoder(autoencoder: str, device: Any) -> Decode:
    """Return the decoder; it stays in memory, since all workers wait while it is loaded."""
    from otcondense.representations import LatentConfig, LatentDecoder

    return LatentDecoder(LatentConfig(model=autoencoder, device=device))


def _png(images: UInt8[np.ndarray, "n c h w"]) -> bytes:
    """Return the images in rows of eight as a PNG file."""
    _, channels, height, width = images.shape
    grid = images.reshape(ROWS, COLUMNS, channels, height, width).transpose(0, 3, 1, 4, 2)
    sheet = grid.reshape(ROWS * height, COLUMNS * width, channels)
    shown = sheet[..., 0] if channels == GRAY else sheet[..., :RGB]

    file = io.BytesIO()
    Image.fromarray(shown).save(file, "PNG")
    return file.getvalue()
