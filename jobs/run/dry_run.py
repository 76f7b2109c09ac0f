"""What `--dry-run` prints: the work of each stage, time and memory of the extraction from a timed sample, of training from its shapes."""

from pathlib import Path

import torch

from jobs.command.progress import note
from jobs.run_directory.budgets import check_budgets
from jobs.run_directory.run import Run
from otcondense.datasets import list_images
from otcondense.diffusion import TrainingConfig
from otcondense.diffusion.attach import Attachments
from otcondense.diffusion.forecast import TrainingForecast, forecast_training
from otcondense.durations import duration
from otcondense.errors import InputError
from pipeline.forecast import ExtractionForecast, forecast_extraction

LATENT_CHANNELS, LATENT_STRIDE = 4, 8
"""Of the autoencoder of Stable Diffusion, which DiT and SiT use."""
TOKEN_WIDTH, TEXT_WIDTH = 768, 2048
"""Of DINOv2 ViT-B and of flan-t5-xl."""
TERAFLOPS = 395
"""Half of the bf16 matrix-product speed measured on one H200; what a device reaches depends on it and on the model."""


def forecast_features(run: Run) -> None:
    """Print what extracting features would take, for each network; nothing is written."""
    source, digits = run.config.source, run.config.digits
    if digits is not None and not Path(source.path).exists():
        raise InputError(
            f"the digits are not written to {digits} yet, so there is nothing to sample; start the demo once without --dry-run"
        )
    check_budgets(run)
    if not run.config.encoders:
        note(
            "import features",
            f"{len(list_images(source))} rows of {source.path}; no images, no encoder",
        )
    for encoder in run.config.encoders:
        _print(
            f"extract {encoder.name}", forecast_extraction(source, encoder, run.config.extraction)
        )


def forecast_run(run: Run) -> None:
    """Print what a whole run would do; nothing is written."""
    forecast_features(run)
    config = run.config
    sizes: dict[str, int] = {}
    for record in list_images(config.source):
        sizes[record.class_name] = sizes.get(record.class_name, 0) + 1
    chosen = sum(min(config.selection.budget_of(name), size) for name, size in sizes.items())
    note(
        "select",
        f"{len(config.selection.methods)} method(s), {len(sizes)} classes, {chosen} images each",
    )
    for model, method in run.trainings():
        _print_training(
            run, f"train {model} on {method}", config.models[model].training, len(sizes)
        )
    samples = sum(config.models[model].sampling.num_samples for model, _, _ in run.checkpoints())
    if samples:
        note("sample and evaluate", f"{len(run.checkpoints())} checkpoints, {samples} images")


def training_forecast(run: Run, training: TrainingConfig, num_classes: int) -> TrainingForecast:
    """Return what one training will take; latents, tokens and text are taken to be of the usual sizes."""
    side = run.config.latents.image_size // LATENT_STRIDE
    shape = (LATENT_CHANNELS, side, side) if training.data == "latents" else run.config.pixels.shape
    text = torch.empty(
        num_classes, run.config.text.max_tokens, TEXT_WIDTH, dtype=torch.float16, device="meta"
    )
    return forecast_training(training, num_classes, shape, Attachments(text, TOKEN_WIDTH))


def _print_training(run: Run, title: str, training: TrainingConfig, num_classes: int) -> None:
    found = training_forecast(run, training, num_classes)
    seconds = found.flops / training.world_size / (TERAFLOPS * 1e12)
    note(
        title,
        f"{training.num_steps} steps of {training.global_batch_size} images on {training.world_size} device(s)",
    )
    note("", found.text)
    note(
        "",
        f"{found.flops / 1e15:.3g} PFLOP: {duration(seconds)} where each device reaches {TERAFLOPS} TFLOP/s, as half of an H200's peak does",
    )


def _print(title: str, found: ExtractionForecast) -> None:
    note(
        title,
        f"{found.num_images} images of {found.num_classes} classes, {_size(found.source_bytes)}, {found.num_batches} batches",
    )
    note(
        "",
        f"memory: {_size(found.reader_bytes)} a reader, {_size(found.encoder_bytes)} an encoder (weights and inputs)",
    )
    note("", f"storage: {_size(found.stored_bytes)} of features")
    sample = f"{1 / found.decode_seconds:.0f} images/s decoded, {found.encode_seconds:.3g} s a batch, each in one process"
    note(
        "",
        f"time: {duration(found.seconds)} ({sample}; {found.sampled} images sampled, {found.unreadable} unreadable)",
    )


def _size(count: int) -> str:
    value, units = float(count), ["bytes", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.3g} {units[0]}"
