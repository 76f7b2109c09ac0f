"""Results on a GPU are those on the CPU, up to rounding; skipped without CUDA."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields

import numpy as np
import pytest
import torch

from otcondense.diffusion import (
    ModelConfig,
    Moments,
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
from otcondense.diffusion.held_out_loss import LossImages, mean_denoising_error
from otcondense.diffusion.random_streams import DrawConfig, draw

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
SHAPE = (1, 8, 8)
CLASSES = 10
STEPS = 10
COMPILED = (
    "import json; from tests.gpu.test_on_gpu import config, losses; "
    "print(json.dumps(losses(config({family!r}, compile_blocks=True), {device!r})))"
)
"""Prints the losses of a training with compiled blocks."""
WARM_UP = 2
"""Steps that may wait: tables and the optimizer's state come into being."""


@contextmanager
def waiting_forbidden() -> Iterator[None]:
    """Make each operation fail in which the CPU waits for the GPU."""
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def config(family: str, **settings: object) -> TrainingConfig:
    model = ModelConfig(name=f"{family}-demo/2", width=32, depth=2, num_heads=2)
    return TrainingConfig(
        model=model,
        global_batch_size=16,
        num_steps=STEPS,
        checkpoint_steps=(),
        num_workers=1,
        **settings,
    )


def losses(training: TrainingConfig, device: str) -> list[float]:
    images = torch.randint(
        0, 256, (40, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    data = TrainingSet(Pixels(images.to(device)), (torch.arange(40) % CLASSES).to(device))
    state = create_state(training, CLASSES, SHAPE, device)
    return [
        float(train_step(state, make_batch(training, step, data))["loss"]) for step in range(STEPS)
    ]


def test_draws_are_those_of_the_cpu() -> None:
    settings = DrawConfig(3, 12, 0.1, flip=True, image_shape=SHAPE, posterior=True)
    found, expected = (draw(settings, 7, slice(3, 9), device) for device in ("cuda", "cpu"))
    for field in fields(expected):
        value = getattr(expected, field.name)
        if value is not None:
            assert torch.equal(getattr(found, field.name).cpu(), value), field.name


@pytest.mark.parametrize("family", ["DiT", "SiT"])
def test_float32_training_follows_the_cpu(family: str) -> None:
    np.testing.assert_allclose(
        losses(config(family), "cuda"), losses(config(family), "cpu"), rtol=1e-3
    )


def test_bfloat16_training_stays_close() -> None:
    found = losses(config("SiT", precision="bfloat16"), "cuda")
    np.testing.assert_allclose(found, losses(config("SiT"), "cpu"), rtol=0.05)


@pytest.mark.parametrize("family", ["DiT", "SiT"])
def test_compiled_blocks_train_as_written(family: str) -> None:
    # In a process of its own: the compiler trips over this one's checks of shapes and warnings.
    code = COMPILED.format(family=family, device="cuda")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout.splitlines()[-1])
    np.testing.assert_allclose(found, losses(config(family), "cpu"), rtol=1e-3)


def latents() -> TrainingSet:
    mean = torch.randn(40, 2, 4, 8, 8, generator=torch.Generator().manual_seed(0)).half()
    source = Moments(mean.cuda(), mean.abs().cuda(), scale=0.2, shift=0.0)
    return TrainingSet(source, (torch.arange(40) % CLASSES).cuda())


@pytest.mark.filterwarnings("ignore:Synchronization debug mode:UserWarning")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", ["DiT", "SiT"])
def test_a_training_step_does_not_wait_for_the_gpu(family: str, precision: str) -> None:
    data = latents()
    training = config(family, precision=precision, data="latents", flip=True)
    state = create_state(training, CLASSES, data.source.image_shape, "cuda")
    for step in range(WARM_UP):
        train_step(state, make_batch(training, step, data))
    with waiting_forbidden():
        for step in range(WARM_UP, WARM_UP + 3):
            train_step(state, make_batch(training, step, data))


def model_with_output(family: str, device: str) -> Transformer:
    """Return a model whose output is not 0, as that of a new model is."""
    model = create_state(config(family), CLASSES, SHAPE).ema
    source = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.add_(0.02 * torch.randn(parameter.shape, generator=source))
    return model.to(device)


@pytest.mark.parametrize(("family", "method"), [("SiT", "sde"), ("DiT", "ddpm"), ("DiT", "ddim")])
def test_samples_are_close_to_those_of_the_cpu(family: str, method: str) -> None:
    sampler = SamplerConfig(num_steps=4, batch_size=8, method=method)
    objective = {"SiT": "sit-linear", "DiT": "dit"}[family]
    found, expected = (
        sample_batch(model_with_output(family, device), objective, torch.arange(8), sampler)[
            0
        ].int()
        for device in ("cuda", "cpu")
    )
    assert (found - expected).abs().max() <= 1


def test_samples_do_not_depend_on_the_split_into_batches() -> None:
    model = model_with_output("SiT", "cuda")
    sampler = SamplerConfig(num_steps=4, batch_size=8)
    whole, _ = sample_batch(model, "sit-linear", torch.arange(8), sampler)
    halves = [
        sample_batch(model, "sit-linear", torch.arange(start, start + 4), sampler)[0]
        for start in (0, 4)
    ]
    assert torch.equal(whole, torch.cat(halves))


def test_autoguided_samples_are_close_to_those_of_the_cpu() -> None:
    sampler = SamplerConfig(
        num_steps=4, batch_size=8, cfg_scale=1.0, autoguidance={"checkpoint_step": 1, "weight": 2.0}
    )
    found = []
    for device in ("cuda", "cpu"):
        strong = model_with_output("SiT", device)
        weak = create_state(config("SiT", seed=1), CLASSES, SHAPE).ema.to(device)
        images, _ = sample_batch(strong, "sit-linear", torch.arange(8), sampler, weak=weak)
        found.append(images.int())
    assert (found[0] - found[1]).abs().max() <= 1


@pytest.mark.parametrize(("family", "objective"), [("SiT", "sit-linear"), ("DiT", "dit")])
def test_the_held_out_loss_is_that_of_the_cpu(family: str, objective: str) -> None:
    images = torch.randint(0, 256, (70, *SHAPE), dtype=torch.uint8)
    data = LossImages.spread(images, torch.arange(70) % CLASSES, ())
    there, here = (
        mean_denoising_error(model_with_output(family, device), objective, data)
        for device in ("cuda", "cpu")
    )
    assert there == pytest.approx(here, rel=1e-4)
