"""What benchmarks on a GPU share: its measured peak, timing that waits for it, and the autoencoder of the plain loops."""

import time
from collections.abc import Callable

import torch
from torch import Tensor

SIDE, WARM_UP, STEPS = 8192, 6, 20


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
    left, right = (torch.randn(SIDE, SIDE, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    return 2 * SIDE**3 / synchronized(lambda: left @ right)


def encoder_in_the_loop(side: int) -> Callable[[int], Tensor]:
    """Return what encodes random images of `side` pixels with an autoencoder of Stable Diffusion's shape, at each step."""
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
    images = torch.randn(64, 3, side, side, device="cuda").clamp(-1, 1)

    @torch.no_grad()
    def encode(count: int) -> Tensor:
        sampled: Tensor = model.encode(
            images[torch.randint(0, len(images), (count,), device="cuda")]
        ).latent_dist.sample()
        return sampled.mul_(0.18215)

    return encode
