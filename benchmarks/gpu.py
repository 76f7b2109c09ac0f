"""Shared by benchmarks on a GPU: its measured peak, timing, and the plain loops' autoencoder."""

import time
from collections.abc import Callable

import torch
from torch import Tensor

SIDE = 8192
"""Side of the matrices whose product measures the peak: large enough to reach it."""
WARM_UP = 6
"""Steps before timing, for compilation and caches."""
STEPS = 20
"""Timed steps."""
LATENT_SCALE = 0.18215
"""Scaling factor of Stable Diffusion's autoencoder."""
IMAGES = 64
"""Different random images that the autoencoder encodes."""


def synchronized(step: Callable[[], object]) -> float:
    """Return the mean seconds of a step, compilation and warm-up not counted."""
    for _ in range(WARM_UP):
        step()
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(STEPS):
        step()
    torch.cuda.synchronize()
    return (time.perf_counter() - started) / STEPS


def device_peak() -> float:
    """Return the operations a second of a large bf16 matrix product."""
    left = torch.randn(SIDE, SIDE, device="cuda", dtype=torch.bfloat16)
    right = torch.randn(SIDE, SIDE, device="cuda", dtype=torch.bfloat16)
    return 2 * SIDE**3 / synchronized(lambda: left @ right)


def encoder_in_the_loop(side: int) -> Callable[[int], Tensor]:
    """Return a function that encodes random images of `side` pixels.

    The autoencoder has the shape of Stable Diffusion's.
    """
    from diffusers import AutoencoderKL

    channels = (128, 256, 512, 512)
    blocks = {
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
    }
    model = (
        AutoencoderKL(**blocks, block_out_channels=channels, layers_per_block=2, latent_channels=4)
        .cuda()
        .eval()
    )
    images = torch.randn(IMAGES, 3, side, side, device="cuda").clamp(-1, 1)

    @torch.no_grad()
    def encode(count: int) -> Tensor:
        chosen = torch.randint(0, len(images), (count,), device="cuda")
        sampled: Tensor = model.encode(images[chosen]).latent_dist.sample()
        return sampled.mul_(LATENT_SCALE)

    return encode
