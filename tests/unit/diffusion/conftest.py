"""A tiny model and images for it: 8 x 8, one channel, ten classes."""

import numpy as np
import pytest
import torch

from otcondense.diffusion import ModelConfig, Pixels, TrainingConfig, TrainingSet


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def tiny_config():
    def make(family="SiT", **settings):
        defaults = {
            "model": ModelConfig(name=f"{family}-demo/2", width=32, depth=2, num_heads=2),
            "global_batch_size": 8,
            "num_steps": 20,
            "checkpoint_steps": (),
            "warmup_steps": 5,
            "num_workers": 1,
        }
        return TrainingConfig(**{**defaults, **settings})

    return make


@pytest.fixture
def digits():
    """30 distinguishable images: a bright square whose place tells the class."""
    rng = np.random.default_rng(0)
    labels = np.arange(30) % 10
    images = rng.integers(0, 40, (30, 1, 8, 8), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(int(label), 4)
        image[0, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = 255
    return TrainingSet(Pixels(torch.from_numpy(images)), torch.from_numpy(labels))
