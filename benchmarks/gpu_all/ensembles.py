"""Small models trained and sampled at once, against one after another in the same run.

`ratio` is how many times faster it is: time of all models one after another, divided by the time of
the ensemble. Both make their batches as training does, without a thread ahead.
"""

import math
from dataclasses import dataclass
from functools import partial

import torch

from benchmarks.gpu_all.cases import Case, Figures, Setting, paced
from otcondense.diffusion import (
    ModelConfig,
    Pixels,
    SamplerConfig,
    TrainingConfig,
    TrainingSet,
    Transformer,
    create_state,
    make_batch,
    sample_batch,
    train_step,
)
from otcondense.diffusion.ensemble import ensemble_of, ensemble_step
from otcondense.diffusion.ensemble_batches import ensemble_data, make_ensemble_batch
from otcondense.diffusion.ensemble_sampler import sample_models

MODEL = {"name": "SiT-demo/2", "width": 64, "depth": 4, "num_heads": 4}
"""0.33 M parameters and, on images of `SIDE`, 64 tokens: a trial of the digits or of 16 px."""
TINY_MODEL = {"name": "SiT-demo/2", "width": 16, "depth": 1, "num_heads": 2}
SIDE = 16
CLASSES = 10
IMAGES = 400
"""Images of each model: 40 a class."""
BATCH = 64
SEEDS = 8
"""Different seeds among the models, as in a comparison of methods with eight seeds."""
SECONDS = 3.0
"""Time for the timed steps of each of the two ways."""
OBJECTIVE = "sit-linear"


@dataclass(frozen=True)
class Together:
    """Models that are trained at once."""

    models: int
    precision: str = "float32"

    @property
    def name(self) -> str:
        """Name in the records."""
        return f"training_{self.models}_models_{self.precision}"


def training_config(setting: Setting, seed: int, precision: str = "float32") -> TrainingConfig:
    """Return the settings of one model."""
    return TrainingConfig(
        model=ModelConfig.model_validate(setting.size(MODEL, TINY_MODEL)),
        global_batch_size=setting.size(BATCH, 4),
        seed=seed,
        precision=precision,
        num_workers=1,
    )


def image_shape(setting: Setting) -> tuple[int, int, int]:
    """Return channels, height and width of the images."""
    side = setting.size(SIDE, 4)
    return (1, side, side)


def random_images(setting: Setting, device: str = "cpu") -> TrainingSet:
    """Return random images of one model on a device."""
    images = setting.size(IMAGES, 12)
    shape = (images, *image_shape(setting))
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)
    return TrainingSet(Pixels(pixels), torch.arange(images, device=device) % CLASSES)


def training(setting: Setting, together: Together) -> Figures:
    """Return models times steps a second, at once and one after another."""
    count = setting.size(together.models, 3)
    seconds = setting.size(SECONDS, 0.01)
    configs = [training_config(setting, each % SEEDS, together.precision) for each in range(count)]
    shape = image_shape(setting)

    data = random_images(setting, setting.device)
    alone = create_state(configs[0], CLASSES, shape, setting.device)
    each = paced(
        setting, lambda: train_step(alone, make_batch(configs[0], alone.step, data)), seconds
    )

    states = [create_state(config, CLASSES, shape, setting.device) for config in configs]
    ensemble = ensemble_of(states)
    joined = ensemble_data(configs, [random_images(setting) for _ in configs], setting.device)
    if setting.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    every = paced(
        setting,
        lambda: ensemble_step(ensemble, make_ensemble_batch(joined, ensemble.step)),
        seconds,
    )
    loss = ensemble_step(ensemble, make_ensemble_batch(joined, ensemble.step)).loss
    assert math.isfinite(float(loss.mean())), f"the loss became {float(loss.mean())}"
    figures = {
        "models_x_steps_per_s": count / every,
        "alone_steps_per_s": 1 / each,
        "ratio": count * each / every,
        "ms_per_step": 1e3 * every,
    }
    if setting.device == "cuda":
        figures["peak_memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
    return figures


def sampling(setting: Setting, models: int) -> Figures:
    """Return images a second of all models, at once and one after another."""
    count = setting.size(models, 3)
    seconds = setting.size(SECONDS, 0.01)
    made: list[Transformer] = []
    for number in range(count):
        config = training_config(setting, number)
        made.append(create_state(config, CLASSES, image_shape(setting), setting.device).ema)
    batch = setting.size(100, 4)
    steps = setting.size(10, 2)
    samplers = [
        SamplerConfig(num_steps=steps, batch_size=batch, seed=number % SEEDS)
        for number in range(count)
    ]
    indices = torch.arange(batch)
    alone = partial(sample_batch, made[0], OBJECTIVE, indices, samplers[0])
    each = paced(setting, alone, seconds)
    every = paced(setting, partial(sample_models, made, OBJECTIVE, indices, samplers), seconds)
    return {
        "images_per_s": count * batch / every,
        "alone_images_per_s": batch / each,
        "ratio": count * each / every,
    }


def cases() -> list[Case]:
    """Return the cases."""

    def timed(together: Together) -> Case:
        return Case(together.name, 12, partial(training, together=together))

    return [
        timed(Together(32)),
        Case("sampling_32_models", 12, partial(sampling, models=32)),
        timed(Together(128)),
        timed(Together(8)),
        timed(Together(32, "bfloat16")),
    ]
