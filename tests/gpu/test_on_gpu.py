"""Results on a GPU are those on the CPU, up to rounding; skipped without CUDA."""

import numpy as np
import pytest
import torch

from otcondense.diffusion import (
    ModelConfig,
    Pixels,
    SamplerConfig,
    TrainingConfig,
    TrainingSet,
    create_state,
    make_batch,
    sample_batch,
    train_step,
)
from otcondense.selection import GeometryAwareSelector

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
SHAPE = (1, 8, 8)
CLASSES = 10
STEPS = 10


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


@pytest.mark.parametrize("family", ["DiT", "SiT"])
def test_float32_training_follows_the_cpu(family: str) -> None:
    np.testing.assert_allclose(
        losses(config(family), "cuda"), losses(config(family), "cpu"), rtol=1e-3
    )


def test_bfloat16_training_stays_close() -> None:
    found = losses(config("SiT", precision="bfloat16"), "cuda")
    np.testing.assert_allclose(found, losses(config("SiT"), "cpu"), rtol=0.05)


def test_samples_do_not_depend_on_the_split_into_batches() -> None:
    state = create_state(config("SiT"), CLASSES, SHAPE, "cuda")
    sampler = SamplerConfig(num_steps=4, batch_size=8)
    whole, _ = sample_batch(state.ema, "sit-linear", torch.arange(8), sampler)
    halves = [
        sample_batch(state.ema, "sit-linear", torch.arange(start, start + 4), sampler)[0]
        for start in (0, 4)
    ]
    assert torch.equal(whole, torch.cat(halves))


def test_a_selection_is_that_of_the_cpu() -> None:
    features = np.random.default_rng(0).normal(size=(200, 16))
    chosen = [
        GeometryAwareSelector(budget=8, device=device).fit(features).indices_.tolist()
        for device in ("cpu", "cuda")
    ]
    assert chosen[0] == chosen[1]
