"""A small model for a folder of images: as many steps and samples as fit into some minutes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from otcondense.diffusion import SamplerConfig, TrainingConfig
from otcondense.diffusion.data import Pixels, TrainingSet
from otcondense.diffusion.forecast import sampling_passes
from otcondense.diffusion.training import create_state, make_batch, train_step
from otcondense.threads import one_thread_on

PATCH = 4
"""Pixels of the side of a token."""
PLANNED_SHARE = 0.8
"""Share of the minutes that is filled by what is timed; the rest is for metrics and loading."""
TRAINING_SHARE = 0.5
"""Least share of the minutes that is training, as long as more than the fewest samples fit."""
LEAST_STEPS, MOST_STEPS = 200, 20_000
"""Fewer teach nothing; more make a model of this size repeat its images."""
WARM_UP, TIMED = 3, 10
"""Steps before the clock starts, and steps that it measures."""
FEWEST_SAMPLES, SAMPLES = 100, 400
"""Images that are drawn from each model to measure it."""
SAMPLE_BATCH = 50
"""Images that are drawn at a time."""
PASS_SHARE = 0.5
"""Time of a pass of the sampler as a share of that of a training step on as many images: a third by
arithmetic, 0.47 measured on two cores."""
CHECKPOINT_STEPS = 100
"""Steps between two checkpoints: seconds of work, as most are lost when the power fails."""


@dataclass(frozen=True)
class TinyWork:
    """What the minutes are for."""

    subsets: tuple[str, ...]
    """That the model is trained on, one training each."""
    minutes: float
    """For trainings, samples and their measures."""
    num_classes: int
    """Of the source."""
    shape: tuple[int, int, int]
    """Channels, height and width of the images."""
    encoded: int = 0
    """Images that the judge encodes besides samples."""
    judge_seconds: float = 0.0
    """Time in which the judge encodes one image; 0 without held-out images."""


@dataclass(frozen=True)
class TinyPlan:
    """How far the minutes go."""

    steps: int
    """Of each training."""
    samples: int
    """From each model."""
    seconds: float
    """Of all trainings, samples and measures, as the rates have it."""


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


def tiny_model(work: TinyWork) -> tuple[dict[str, Any], TinyPlan]:
    """Return the settings of a model that takes some minutes on this machine, and their plan."""
    settings = training_settings(work.subsets)
    config = TrainingConfig.model_validate(settings)
    step = seconds_per_step(config, work.num_classes, work.shape)
    sampling = {
        "method": "heun",
        "num_steps": 15,
        "cfg_scale": 1.0,
        "batch_size": SAMPLE_BATCH,
    }
    passes = sampling_passes(SamplerConfig.model_validate(sampling), "heun")
    drawn = passes * PASS_SHARE * step / config.global_batch_size
    plan = plan_of(work, step, drawn + work.judge_seconds)
    training = {
        **settings,
        "num_steps": plan.steps,
        "checkpoint_steps": [plan.steps],
        "checkpoint_every": CHECKPOINT_STEPS,
    }
    return {"training": training, "sampling": {**sampling, "num_samples": plan.samples}}, plan


def plan_of(work: TinyWork, step: float, sample: float) -> TinyPlan:
    """Return steps, to two digits, and samples, in whole batches, that fill the minutes.

    Args:
        work: what the minutes are for.
        step: seconds of one step.
        sample: seconds in which one sample is drawn and measured.
    """
    trainings = len(work.subsets)
    shared = work.encoded * work.judge_seconds
    each = (60 * PLANNED_SHARE * work.minutes - shared) / trainings
    trained = max(TRAINING_SHARE * each, LEAST_STEPS * step)
    fitting = int((each - trained) / sample) // SAMPLE_BATCH * SAMPLE_BATCH
    samples = min(SAMPLES, max(FEWEST_SAMPLES, fitting))
    steps = min(MOST_STEPS, max(LEAST_STEPS, _two_digits((each - samples * sample) / step)))
    seconds = shared + trainings * (steps * step + samples * sample)
    return TinyPlan(steps, samples, seconds / PLANNED_SHARE)


def _two_digits(count: float) -> int:
    """Return a number rounded down to two digits; 0 for negative ones."""
    whole = max(0, int(count))
    unit: int = 10 ** max(0, len(str(whole)) - 2)
    return whole // unit * unit


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
