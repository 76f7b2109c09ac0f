"""`--dry-run` of a whole run: the work of each stage, with time and memory.

The extraction is forecast from a timed sample, training from the shapes of the model.
"""

import torch

from jobs.command.progress import note
from jobs.extract_features.dry_run import forecast_features
from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from otcondense.diffusion import TrainingConfig
from otcondense.diffusion.attach import Attachments
from otcondense.diffusion.forecast import TrainingForecast, forecast_training
from otcondense.durations import duration

LATENT_CHANNELS = 4
"""Channels of the latents of Stable Diffusion's autoencoder, which DiT and SiT use."""
LATENT_STRIDE = 8
"""Pixels of the image for each latent, in height and width, of the same autoencoder."""
TOKEN_WIDTH = 768
"""Width of the tokens of DINOv2 ViT-B, the default of `tokens`."""
TEXT_WIDTH = 2048
"""Width of the embeddings of flan-t5-xl, the default of `text`."""
DEVICE_TERAFLOPS = 395
"""Assumed speed of a device: half of the bf16 matrix-product speed measured on one H200.

The real speed depends on the device and on the model.
"""
TERA = 1e12
PETA = 1e15


def forecast_run(run: Run) -> None:
    """Print the work of a whole run; nothing is written."""
    forecast_features(run)
    sizes = run_listing(run).sizes
    _print_selection(run, sizes)
    for model, method in run.trainings():
        _print_training(run, model, method, len(sizes))

    checkpoints = run.checkpoints()
    samples = sum(run.config.models[model].sampling.num_samples for model, _, _ in checkpoints)
    if samples:
        note("sample and evaluate", f"{len(checkpoints)} checkpoints, {samples} images")


def _print_selection(run: Run, sizes: dict[str, int]) -> None:
    """Print the number of images to select.

    Args:
        run: the run.
        sizes: number of images of each class.
    """
    selection = run.config.selection
    chosen = sum(min(selection.budget_of(name), size) for name, size in sizes.items())
    note(
        "select",
        f"{len(selection.methods)} method(s), {len(sizes)} classes, {chosen} images each",
    )


def training_forecast(run: Run, training: TrainingConfig, num_classes: int) -> TrainingForecast:
    """Return the cost of one training; latents, tokens and text are assumed to be of usual size."""
    shape = run.config.pixels.shape
    if training.data == "latents":
        side = run.config.latents.image_size // LATENT_STRIDE
        shape = (LATENT_CHANNELS, side, side)
    max_tokens = run.config.text.max_tokens
    text = torch.empty(num_classes, max_tokens, TEXT_WIDTH, dtype=torch.float16, device="meta")
    return forecast_training(training, num_classes, shape, Attachments(text, TOKEN_WIDTH))


def _print_training(run: Run, model: str, method: str, num_classes: int) -> None:
    training = run.config.models[model].training
    found = training_forecast(run, training, num_classes)
    seconds = found.flops / training.world_size / (DEVICE_TERAFLOPS * TERA)
    note(
        f"train {model} on {method}",
        f"{training.num_steps} steps of {training.global_batch_size} images "
        f"on {training.world_size} device(s)",
    )
    note("", found.text)
    note(
        "",
        f"{found.flops / PETA:.3g} PFLOP: {duration(seconds)} at an assumed {DEVICE_TERAFLOPS} "
        "TFLOP/s per device (half of an H200's peak)",
    )
