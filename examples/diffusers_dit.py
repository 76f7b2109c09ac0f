"""Train the DiT of diffusers on the subset of a run, and save a `DiTPipeline`.

    python examples/diffusers_dit.py RUN --autoencoder stabilityai/sd-vae-ft-ema --output pipeline

Images are encoded as they are read. With `--latents`, the latents of `otcondense extract_latents`
are used: set the same autoencoder, which the pipeline needs to decode. Everything else is diffusers
and plain PyTorch, for one device.
"""

import argparse
from collections.abc import Iterator
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, DiTPipeline, DiTTransformer2DModel
from torch import Tensor
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from otcondense.training_data import SubsetDataset

PIPELINE_CLASSES = 1000
"""DiTPipeline always takes this label for the null class, whatever the number of classes."""


def main() -> None:
    """Train and save."""
    options = parse()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(options.seed)
    kind = AutoencoderKL.load_config(options.autoencoder).get("_class_name")
    if kind != "AutoencoderKL":
        raise SystemExit(f"--autoencoder must be an AutoencoderKL, found {kind}")
    vae = AutoencoderKL.from_pretrained(options.autoencoder).to(device)
    vae.requires_grad_(requires_grad=False)
    data = dataset(options)
    model = transformer(options, vae).to(device).train()
    scheduler = DDIMScheduler(clip_sample=False)  # DiT's: 1000 steps, betas 0.0001 to 0.02
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, weight_decay=0)

    size = min(options.batch_size, len(data))  # a larger batch would never be full
    batches = endless(DataLoader(data, size, shuffle=True, drop_last=True))
    for step in range(1, options.steps + 1):
        x, labels = (each.to(device) for each in next(batches))
        clean = x if options.latents else encode(vae, x)
        noise = torch.randn_like(clean)
        times = torch.randint(scheduler.config.num_train_timesteps, (len(clean),), device=device)
        noisy = scheduler.add_noise(clean, noise, times)
        loss = mse_loss(model(noisy, timestep=times, class_labels=labels).sample, noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % options.log_every == 0 or step == options.steps:
            print(f"step {step}: loss {loss.item():.4f}", flush=True)

    pipeline = DiTPipeline(model.eval(), vae, scheduler)
    pipeline.register_to_config(id2label=dict(enumerate(data.classes)))
    pipeline.save_pretrained(options.output)


def dataset(options: argparse.Namespace) -> SubsetDataset:
    """Return the chosen images in [-1, 1], or their latents, half of them mirrored."""
    crop = v2.Compose(
        [
            v2.PILToTensor(),
            v2.Resize(options.image_size),
            v2.CenterCrop(options.image_size),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.5], [0.5]),
        ]
    )
    return SubsetDataset(
        options.run,
        options.method,
        transform=None if options.latents else crop,
        latents=options.latents,
        mirror=options.latents,
    )


def transformer(options: argparse.Namespace, vae: AutoencoderKL) -> DiTTransformer2DModel:
    """Return an untrained DiT; labels are dropped in a tenth of the samples, as in DiT's paper."""
    return DiTTransformer2DModel(
        num_attention_heads=options.heads,
        attention_head_dim=options.width // options.heads,
        in_channels=vae.config.latent_channels,
        out_channels=vae.config.latent_channels,
        num_layers=options.depth,
        sample_size=options.image_size // 2 ** (len(vae.config.block_out_channels) - 1),
        num_embeds_ada_norm=PIPELINE_CLASSES,
    )


@torch.no_grad()
def encode(vae: AutoencoderKL, images: Tensor) -> Tensor:
    """Return latents drawn from the posterior of the images, scaled."""
    latents: Tensor = vae.encode(images).latent_dist.sample() * vae.config.scaling_factor
    return latents


def endless(loader: DataLoader[tuple[Any, int]]) -> Iterator[list[Tensor]]:
    """Yield batches without an end."""
    while True:
        yield from loader


def parse() -> argparse.Namespace:
    """Return the options; the defaults are those of DiT-S/2 at 256 pixels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="run directory")
    parser.add_argument("--method", default="geometry_aware", help="subset to train on")
    parser.add_argument("--autoencoder", required=True, help="folder or name of an AutoencoderKL")
    parser.add_argument("--output", required=True, help="folder of the pipeline")
    parser.add_argument("--latents", action="store_true", help="read the latents of the run")
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--depth", type=int, default=12)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--heads", type=int, default=6)
    parser.add_argument("--log-every", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
