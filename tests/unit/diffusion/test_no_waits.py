"""No step of a training or a sampler waits for the GPU, so that the CPU can run ahead of it."""

from collections.abc import Iterator
from typing import Literal

import pytest
import torch

from otcondense.diffusion import (
    ModelConfig,
    Moments,
    Pixels,
    SamplerConfig,
    TrainingConfig,
    TrainingSet,
    create_state,
    make_batch,
    sample_batch,
    train_step,
)
from otcondense.diffusion.alignment_config import AlignmentConfig
from otcondense.diffusion.attach import Attachments
from tests.fake_gpu import GPU, Waits, gpu_of_shapes

IMAGES = 40
CLASSES = 10
WARM_UP = 2
"""Steps that may wait: tables and the optimizer's state come into being."""
MODEL = {"width": 32, "depth": 2, "num_heads": 2}


@pytest.fixture(autouse=True)
def shapes() -> Iterator[None]:
    with gpu_of_shapes():
        yield


def training_set(data: str, *, tokens: bool) -> TrainingSet:
    captions = torch.empty(IMAGES, 1, 3, 6, dtype=torch.float16, device=GPU)
    labels = torch.empty(IMAGES, dtype=torch.int64, device=GPU)
    targets = torch.empty(IMAGES, 2, 16, 12, dtype=torch.float16, device=GPU) if tokens else None
    if data == "pixels":
        pixels = torch.empty(IMAGES, 1, 8, 8, dtype=torch.uint8, device=GPU)
        return TrainingSet(Pixels(pixels), labels, targets, captions=captions)
    moments = torch.empty(IMAGES, 2, 4, 8, 8, dtype=torch.float16, device=GPU)
    source = Moments(moments, moments, scale=0.2, shift=0.1)
    return TrainingSet(source, labels, targets, captions=captions)


@pytest.mark.parametrize(
    ("family", "data", "attached", "text"),
    [
        ("DiT", "pixels", False, False),
        ("SiT", "pixels", True, True),
        ("DiT", "latents", True, True),
        ("SiT", "latents", False, False),
        ("SiT", "pixels", False, "captions"),
        ("DiT", "latents", True, "captions"),
    ],
)
def test_a_training_step_does_not_wait(
    family: str, data: str, attached: bool, text: bool | Literal["captions"]
) -> None:
    config = TrainingConfig(
        model=ModelConfig(name=f"{family}-demo/2", **MODEL),
        data=data,
        flip=True,
        global_batch_size=8,
        num_steps=10,
        checkpoint_steps=(),
        num_workers=1,
        alignment=AlignmentConfig(depth=1) if attached else None,
        text=text,
        compat="authors" if attached else "none",
    )
    images = training_set(data, tokens=attached)
    parts = Attachments(torch.zeros(CLASSES, 3, 6).half(), 12, torch.zeros(3, 6).half())
    state = create_state(config, CLASSES, images.source.image_shape, GPU, parts)
    for step in range(WARM_UP):
        train_step(state, make_batch(config, step, images))

    with Waits() as waits:
        for step in range(WARM_UP, WARM_UP + 3):
            train_step(state, make_batch(config, step, images))
    assert waits.found == []
    assert waits.copies >= 3 * 5, "indices and draws are copied at each step"


METHODS = [("DiT", "ddpm"), ("DiT", "ddim"), ("SiT", "euler"), ("SiT", "heun"), ("SiT", "sde")]


@pytest.mark.parametrize(("family", "method"), METHODS)
def test_a_batch_of_samples_waits_once_for_the_images(family: str, method: str) -> None:
    objective = {"DiT": "dit", "SiT": "sit-linear"}[family]
    config = TrainingConfig(model=ModelConfig(name=f"{family}-demo/2", **MODEL))
    model = create_state(config, CLASSES, (1, 8, 8), GPU).ema
    sampler = SamplerConfig(method=method, num_steps=5, batch_size=4)
    with Waits():
        sample_batch(model, objective, torch.arange(4), sampler)

    with Waits() as waits:
        images, _ = sample_batch(model, objective, torch.arange(3), sampler)
    assert images.device.type == "cpu"
    assert len(waits.found) == 1, waits.found


def test_counting_sees_what_waits() -> None:
    on_gpu = torch.empty(4, 2, device=GPU)
    with Waits() as waits:
        on_gpu[torch.tensor([0, 1])]
        torch.ones(3).to(GPU, non_blocking=True)
        torch.ones(3).pin_memory().to(GPU)
        on_gpu.cpu()
    assert len(waits.found) == 4, waits.found
    with Waits() as waits:
        torch.ones(3).pin_memory().to(GPU, non_blocking=True)
        on_gpu * torch.tensor(2.0)
    assert waits.found == []
    for look in (lambda: on_gpu.sum().item(), on_gpu.nonzero, lambda: on_gpu[on_gpu > 0]):
        with Waits(), pytest.raises((RuntimeError, NotImplementedError)):
            look()
