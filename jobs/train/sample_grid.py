"""A grid of samples of the averaged model while it trains, to look at."""

import io

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image

from jobs.train.job import TrainJob
from otcondense.diffusion.registry import OBJECTIVES, resolve_objective
from otcondense.diffusion.sampler import Decode, SamplerConfig, of_trained, sample_batch
from otcondense.diffusion.training import TrainState

COLUMNS = ROWS = 8


def grid_file(job: TrainJob, step: int) -> str:
    """Return the name of the grid of one step."""
    return f"{job.directory}/grids/step-{step:06d}.png"


def write_grid(job: TrainJob, state: TrainState) -> None:
    """Sample 64 images, the classes in turn, with the averaged weights, and write them as one PNG."""
    latents = job.config.data == "latents"
    objective = resolve_objective(job.config.objective, job.config.model)
    settings = SamplerConfig(
        method=OBJECTIVES[objective].preview_method,
        num_steps=OBJECTIVES[objective].preview_steps,
        batch_size=ROWS * COLUMNS,
        clip=not latents,
        precision=job.config.precision,
        seed=job.config.seed,
    )
    settings = of_trained(settings, job.classes or range(job.num_classes), job.num_classes)
    decode = _decoder(job) if latents else None
    images, _ = sample_batch(state.ema, objective, torch.arange(ROWS * COLUMNS), settings, decode)
    job.store.write_bytes(grid_file(job, state.step), _png(images.numpy()))


def _decoder(job: TrainJob) -> Decode:
    from otcondense.representations import LatentConfig, LatentDecoder

    return LatentDecoder(LatentConfig(model=job.inputs.autoencoder))


def _png(images: UInt8[np.ndarray, "n c h w"]) -> bytes:
    """Return images side by side, eight in a row, as a PNG file."""
    _, channels, height, width = images.shape
    sheet = (
        images.reshape(ROWS, COLUMNS, channels, height, width)
        .transpose(0, 3, 1, 4, 2)
        .reshape(ROWS * height, COLUMNS * width, channels)
    )
    file = io.BytesIO()
    Image.fromarray(sheet[..., 0] if channels == 1 else sheet[..., :3]).save(file, "PNG")
    return file.getvalue()
