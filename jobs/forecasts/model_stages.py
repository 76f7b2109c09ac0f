"""The forecast of training, sampling and evaluation."""

from collections.abc import Iterator
from dataclasses import replace

import torch

from jobs.forecasts.image_stages import HALF_BYTES, SourceFacts, extraction_workers
from jobs.forecasts.networks import judges, latent_size
from jobs.run_directory.budget_rules import resolve
from jobs.run_directory.config import RunConfig
from jobs.run_directory.groups import selected_sizes
from jobs.run_directory.model_config import ModelConfigs
from otcondense.counts import counted
from otcondense.diffusion import SamplerConfig, TrainingConfig
from otcondense.diffusion.attach import Attachments
from otcondense.diffusion.forecast import (
    FLOAT_BYTES,
    TRAINING_PASSES,
    TrainingForecast,
    forecast_training,
    sampling_passes,
)
from otcondense.diffusion.registry import resolve_objective
from otcondense.diffusion.sampler_config import resolve_method
from otcondense.diffusion.world_size import largest_world_size
from otcondense.forecast.encoding import Images, Network
from otcondense.forecast.evaluation import EvaluationWork, evaluation_stage
from otcondense.forecast.hardware import Hardware, Precision
from otcondense.forecast.sampling import SamplingWork, sampling_stage
from otcondense.forecast.stages import Stage, Workers, workers_of
from otcondense.forecast.training import TrainingWork, training_stage

TOKEN_WIDTH = 768
"""Width of the tokens of DINOv2 ViT-B, the default of `tokens`."""
TEXT_WIDTH = 2048
"""Width of the embeddings of flan-t5-xl, the default of `text`."""


def training_workers(training: TrainingConfig, hardware: Hardware) -> Workers:
    """Return the workers of a training: those asked for as far as they fit, else all that help."""
    on_gpus = training.device != "cpu" and hardware.gpus > 0
    if training.num_workers is None:
        on_one_node = hardware.gpus_per_node if on_gpus else hardware.cores_per_node
        return Workers(largest_world_size(training, on_one_node), on_gpus)
    room = hardware.gpus if on_gpus else hardware.cores
    return Workers(min(training.world_size, room), on_gpus)


def trains_here(config: RunConfig, model: str) -> bool:
    """Return whether the trainings of a model take place in the command's process."""
    return config.models[model].training.num_workers == 0


def trainings_at_once(config: RunConfig, hardware: Hardware) -> int:
    """Return how many trainings by workers have room at the same time."""
    found = [hardware.cores]
    for name, model in config.models.items():
        if trains_here(config, name):
            continue
        workers = training_workers(model.training, hardware)
        found.append(int((hardware.gpus if workers.on_gpus else hardware.cores) / workers.count))
    return max(1, min(found))


def training_size(
    config: RunConfig, training: TrainingConfig, num_classes: int, workers: int
) -> TrainingForecast:
    """Return parameters, memory and arithmetic of one training, from shapes alone.

    Latents have the size of their autoencoder, tokens and text are taken to have their usual ones.

    Raises: InputError if the autoencoder cannot be used.
    """
    shape = config.pixels.shape
    if training.data == "latents":
        shape = latent_size(config.latents).latent_shape
    text = torch.empty(
        num_classes, config.text.max_tokens, TEXT_WIDTH, dtype=torch.float16, device="meta"
    )
    sized = training.model_copy(update={"num_workers": workers})
    parts = Attachments(text, TOKEN_WIDTH, text[0])
    return forecast_training(sized, num_classes, shape, parts)


def model_stage(
    config: RunConfig, model: str, subset: str, classes: int, hardware: Hardware
) -> Stage:
    """Return the time of the training of one model on one subset."""
    training = config.models[model].training
    workers = training_workers(training, hardware)
    found = training_size(config, training, classes, int(workers.count))
    images = training.global_batch_size * training.num_steps
    every = range(training.checkpoint_every, training.num_steps + 1, training.checkpoint_every)
    work = TrainingWork(
        title=f"{model} on {subset}, {training.num_steps:,} steps of {training.global_batch_size}",
        parameters=found.parameters,
        flops_per_image=found.flops / images,
        steps=training.num_steps,
        batch=training.global_batch_size,
        saves=len({*training.kept_steps, *every}),
        gradient_bytes=_gradient_bytes(training, workers),
        bfloat16=training.precision == "bfloat16",
        compiled=training.compile_blocks,
    )
    return replace(training_stage(work, hardware, workers), subject=(model, subset))


def _gradient_bytes(training: TrainingConfig, workers: Workers) -> int:
    """Return the bytes of a gradient as the workers of a training exchange it."""
    if training.gradient_compression == "auto":
        rounds = training.precision == "bfloat16" and workers.on_gpus
    else:
        rounds = training.gradient_compression == "bfloat16"
    return HALF_BYTES if rounds else FLOAT_BYTES


def _pass_flops(config: RunConfig, model: ModelConfigs, classes: int) -> float:
    """Return the arithmetic of one forward pass for one image."""
    training = model.training
    return training_size(config, training, classes, 1).flops / (
        TRAINING_PASSES * training.global_batch_size * training.num_steps
    )


def sampling_stages(config: RunConfig, facts: SourceFacts, hardware: Hardware) -> Iterator[Stage]:
    """Yield the sampling of each model, from all of its kept checkpoints."""
    classes = len(facts.sizes)
    for name, model in config.models.items():
        kept = _checkpoints(config, name)
        sampling = model.sampling
        work = SamplingWork(
            title=f"{name}: {counted(kept, 'checkpoint')}, {sampling.num_samples:,} images each",
            samples=kept * sampling.num_samples,
            flops=_pass_flops(config, model, classes),
            passes=sampling_passes(sampling, _method(model.training, sampling)),
            decoder=_decoder(config, model),
            image_bytes=_sample_bytes(config),
            bfloat16=sampling.precision == "bfloat16",
            compiled=sampling.compile_blocks,
        )
        pool = config.samplers
        workers = workers_of(
            hardware, asked=pool.num_actors, gpus_each=pool.num_gpus, cores_each=pool.num_cpus
        )
        yield replace(sampling_stage(work, hardware, workers), subject=(name,))


def evaluation_stages(config: RunConfig, facts: SourceFacts, hardware: Hardware) -> Iterator[Stage]:
    """Yield the evaluation, if there are models and held-out images.

    Raises: InputError if there is no such network.
    """
    if not config.models or not facts.held_out:
        return
    sizes = selected_sizes(config, facts.sizes)
    chosen = [
        sum(resolve(config.selection.subset(subset).budgets[-1], sizes).values())
        for subset in sorted({subset for _, subset in config.trainings})
    ]
    samples = [
        model.sampling.num_samples
        for name, model in config.models.items()
        for _ in range(_checkpoints(config, name))
    ]
    judge = config.judge_or_encoder
    work = EvaluationWork(
        title=f"{counted(len(samples), 'set')} of samples, {facts.held_out:,} held-out images",
        images=Images(facts.held_out + sum(chosen), facts.mean_bytes),
        held_out=facts.held_out,
        samples=samples,
        sample_bytes=_sample_bytes(config),
        networks=judges(judge, config.judges, config.evaluation),
    )
    workers = extraction_workers(config.extraction, hardware, judge.device)
    yield evaluation_stage(work, hardware, workers)


def _method(training: TrainingConfig, sampling: SamplerConfig) -> str:
    return resolve_method(sampling, resolve_objective(training.objective, training.model))


def _checkpoints(config: RunConfig, name: str) -> int:
    """Return the kept checkpoints of a model over all subsets."""
    trainings = sum(model == name for model, _ in config.trainings)
    return trainings * len(config.models[name].training.kept_steps)


def _decoder(config: RunConfig, model: ModelConfigs) -> Network | None:
    if model.training.data != "latents":
        return None
    precision: Precision = "bfloat16" if model.sampling.precision == "bfloat16" else "tf32"
    size = latent_size(config.latents)
    return Network(size.decoder_flops, size.convolutional, precision)


def _sample_bytes(config: RunConfig) -> int:
    channels, height, width = config.pixels.shape
    return channels * height * width
