"""Images a second of training steps, on random latents: `create_state`, `make_batch`, `train_step`.

The share of the peak counts the arithmetic of the model alone, three forward passes an image.
"""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu_all.cases import Case, Figures, Held, Setting, paced
from benchmarks.gpu_all.profiling import profiled
from otcondense.diffusion import (
    ModelConfig,
    Moments,
    TrainingConfig,
    TrainingSet,
    TrainState,
    create_state,
    make_batch,
    train_step,
)
from otcondense.diffusion.forecast import TRAINING_PASSES, forward_flops

LATENT_SCALE = 0.18215
"""Scaling factor of Stable Diffusion's autoencoder."""
IMAGENET_CLASSES = 1000
SECONDS = 4.0
"""Time for the timed steps of a case."""
IMAGES = {32: 2048, 64: 512}
"""Random latents by the side of a latent."""
TINY_SIDE = 8
"""Side of the latents of a rehearsal."""
TINY_BATCH = 4
"""Images in a step of a rehearsal."""


@dataclass(frozen=True)
class Training:
    """One model and how it is trained."""

    model: str
    side: int
    """Of the latents: an eighth of the side of the images."""
    batch: int
    compiled: bool = True
    precision: str = "bfloat16"

    @property
    def name(self) -> str:
        """Name in the records."""
        way = "compiled" if self.compiled else "eager"
        return f"{self.model}_{8 * self.side}_batch_{self.batch}_{way}_{self.precision}"


def tiny_model(name: str) -> dict[str, Any]:
    """Return the settings of a small model of the same family."""
    family, _, _ = name.partition("-")
    return {"name": f"{family}-demo/2", "width": 32, "depth": 2, "num_heads": 2}


def state_and_data(setting: Setting, training: Training) -> tuple[TrainState, TrainingSet]:
    """Return a new model whose blocks are compiled when they are first called, and latents."""
    side = setting.size(training.side, TINY_SIDE)
    model = setting.size({"name": training.model}, tiny_model(training.model))
    config = TrainingConfig(
        model=ModelConfig.model_validate(model),
        data="latents",
        num_workers=1,
        flip=True,
        learning_rate=1e-4,
        compile_blocks=True,
    )
    state = create_state(config, IMAGENET_CLASSES, (4, side, side), setting.device)
    images = setting.size(IMAGES.get(side, 512), 16)
    return state, random_latents(side, images, setting.device)


def random_latents(side: int, images: int, device: str) -> TrainingSet:
    """Return random moments of latents on the device."""
    mean = torch.randn(images, 2, 4, side, side, device=device).half()
    labels = torch.randint(0, IMAGENET_CLASSES, (images,), device=device)
    return TrainingSet(Moments(mean, mean.abs() / 10, LATENT_SCALE, 0.0), labels)


def blocks_run(setting: Setting, *, compiled: bool) -> AbstractContextManager[object]:
    """Return a context in which the blocks run compiled, or as they are written.

    A rehearsal never compiles: code for a CPU takes a minute.
    """
    if compiled and not setting.rehearse:
        return nullcontext()
    stance: AbstractContextManager[object] = torch.compiler.set_stance("force_eager")
    return stance


def prepared(setting: Setting, held: Held, training: Training) -> Callable[[], dict[str, Tensor]]:
    """Return one training step; the state is that of the cases before, if they have one."""
    key = (training.model, training.side)
    state, data = held.get(key, lambda: state_and_data(setting, training))
    torch._dynamo.reset()  # another batch gets code of its own, not code for any size
    update = {
        "global_batch_size": setting.size(training.batch, TINY_BATCH),
        "precision": training.precision,
    }
    state.config = state.config.model_copy(update=update)
    return lambda: train_step(state, make_batch(state.config, state.step, data))


def rate(setting: Setting, held: Held, training: Training) -> Figures:
    """Return images a second, the share of the peak and the memory of one configuration."""
    step = prepared(setting, held, training)
    if setting.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with blocks_run(setting, compiled=training.compiled):
        seconds = paced(setting, step, setting.size(SECONDS, 0.01))
        loss = float(step()["loss"])
    assert math.isfinite(loss), f"the loss became {loss}"
    state, _ = held.get((training.model, training.side), lambda: state_and_data(setting, training))
    images = state.config.global_batch_size / seconds
    figures = {"images_per_s": images, "ms_per_step": 1e3 * seconds, "loss": loss}
    if setting.device == "cuda":
        figures["peak_memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
    return figures | setting.share(images * TRAINING_PASSES * forward_flops(state.model))


def profile(setting: Setting, held: Held, training: Training) -> Figures:
    """Return where the time of one step goes."""
    step = prepared(setting, held, training)
    with blocks_run(setting, compiled=training.compiled):
        return profiled(setting, step)


LARGE = Training("DiT-L/2", 32, 128)
FLOW = Training("SiT-L/2", 32, 128)
XLARGE = Training("DiT-XL/2", 32, 96)
FINE = Training("DiT-L/2", 64, 32)


def cases() -> list[Case]:
    """Return the cases, those of one model in a row."""
    held = Held()

    def timed(training: Training, seconds: float) -> Case:
        return Case(training.name, seconds, partial(rate, held=held, training=training))

    def looked_into(training: Training, seconds: float) -> Case:
        measure = partial(profile, held=held, training=training)
        return Case(f"{training.name}_profile", seconds, measure)

    return [
        timed(LARGE, 40),
        looked_into(LARGE, 12),
        timed(Training("DiT-L/2", 32, 128, compiled=False), 10),
        timed(XLARGE, 35),
        timed(FLOW, 40),
        timed(FINE, 35),
        timed(Training("DiT-L/2", 32, 192), 25),
        timed(Training("DiT-L/2", 32, 32), 25),
        looked_into(Training("DiT-L/2", 32, 32), 25),
        timed(Training("DiT-XL/2", 32, 128), 25),
        timed(Training("DiT-L/2", 32, 64, compiled=False, precision="float32"), 15),
    ]
