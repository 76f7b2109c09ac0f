"""A small model for a folder of images, trained for as many steps as fit into some minutes."""

import time
from collections.abc import Sequence
from typing import Any

import torch

from otcondense.diffusion import TrainingConfig
from otcondense.diffusion.data import Pixels, TrainingSet
from otcondense.diffusion.training import create_state, make_batch, train_step
from otcondense.threads import one_thread_on

NAME = "tiny"
"""Name of the model, and value of `--train`."""
PATCH = 4
"""Pixels of the side of a token."""
TRAINING_SHARE = 0.8
"""Share of the minutes that is training; samples and metrics take the rest."""
LEAST_STEPS, MOST_STEPS = 200, 20_000
"""Fewer teach nothing; more make a model of this size repeat its images."""
WARM_UP, TIMED = 3, 10
"""Steps before the clock starts, and steps that it measures."""
SAMPLES = 400
"""Images that are drawn from each model to measure it."""


def training_settings(subsets: Sequence[str]) -> dict[str, Any]:
    """Return the settings of the training but for its length.

    The model is that of `configs/fashion.yaml`, for which they were chosen by trials.
    """
    return {
        "model": {"name": f"SiT-S/{PATCH}", "width": 64, "depth": 4, "num_heads": 4},
        "subsets": list(subsets),
        "num_workers": 0,
        "global_batch_size": 32,
        "learning_rate": 6.0e-3,
    }


def tiny_model(
    subsets: Sequence[str], minutes: float, num_classes: int, shape: tuple[int, int, int]
) -> dict[str, Any]:
    """Return the settings of a model whose training takes some minutes on this machine.

    Args:
        subsets: that it is trained on, one training each.
        minutes: for all trainings, samples and metrics.
        num_classes: of the source.
        shape: channels, height and width of the images.
    """
    settings = training_settings(subsets)
    seconds = seconds_per_step(TrainingConfig.model_validate(settings), num_classes, shape)
    steps = steps_in(minutes, seconds, len(subsets))
    sampling = {"method": "heun", "num_steps": 15, "cfg_scale": 1.0, "num_samples": SAMPLES}
    training = {**settings, "num_steps": steps, "checkpoint_steps": [steps]}
    return {"training": training, "sampling": sampling}


def steps_in(minutes: float, seconds: float, trainings: int) -> int:
    """Return how many steps each training has, to two digits.

    Args:
        minutes: for everything.
        seconds: of one step.
        trainings: how many there are.
    """
    steps = int(minutes * 60 * TRAINING_SHARE / trainings / seconds)
    digits: int = 10 ** max(0, len(str(steps)) - 2)
    return min(MOST_STEPS, max(LEAST_STEPS, steps // digits * digits))


def seconds_per_step(
    config: TrainingConfig, num_classes: int, shape: tuple[int, int, int]
) -> float:
    """Return the median seconds of a training step on this machine, measured on noise."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    generator = torch.Generator().manual_seed(0)
    count = config.global_batch_size
    images = torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=generator)
    labels = torch.arange(count) % num_classes
    data = TrainingSet(Pixels(images.to(device)), labels.to(device))
    state = create_state(config, num_classes, shape, device)
    times = []
    with one_thread_on(device):
        for step in range(WARM_UP + TIMED):
            started = time.perf_counter()
            loss = train_step(state, make_batch(config, step, data))["loss"]
            loss.item()  # waits for the device
            times.append(time.perf_counter() - started)
    return sorted(times[WARM_UP:])[TIMED // 2]
