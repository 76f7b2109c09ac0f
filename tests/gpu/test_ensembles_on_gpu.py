"""Models that are trained and sampled at once on a GPU; skipped without CUDA."""

import warnings

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
from otcondense.diffusion.data import free_bytes
from otcondense.diffusion.ensemble import Ensemble, ensemble_of, ensemble_step, models_that_fit
from otcondense.diffusion.ensemble_batches import ensemble_data, make_ensemble_batch
from otcondense.diffusion.ensemble_sampler import sample_models
from tests.gpu.test_on_gpu import waiting_forbidden

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
SHAPE = (1, 8, 8)
CLASSES = 10
SIZES = (6, 19, 30)
STEPS = 8
WARM_UP = 2
"""Steps that may wait: tables and the optimizer's state come into being."""


def config(seed: int, family: str = "SiT", precision: str = "float32") -> TrainingConfig:
    model = ModelConfig(name=f"{family}-demo/2", width=32, depth=2, num_heads=2)
    return TrainingConfig(
        model=model, global_batch_size=8, seed=seed, precision=precision, num_workers=1, flip=True
    )


def images(number: int) -> TrainingSet:
    source = torch.Generator().manual_seed(number)
    shape = (SIZES[number], *SHAPE)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=source)
    labels = torch.arange(SIZES[number]) % CLASSES
    return TrainingSet(Pixels(pixels), labels)


def ensemble(family: str, precision: str) -> Ensemble:
    configs = [config(seed, family, precision) for seed in range(3)]
    return ensemble_of([create_state(each, CLASSES, SHAPE, "cuda") for each in configs])


@pytest.mark.parametrize(
    ("family", "precision", "tolerance"),
    [("SiT", "float32", 1e-3), ("DiT", "float32", 1e-3), ("SiT", "bfloat16", 0.05)],
)
def test_losses_follow_those_of_each_training_on_the_cpu(
    family: str, precision: str, tolerance: float
) -> None:
    trained = ensemble(family, precision)
    data = ensemble_data(
        [each.config for each in trained.members], [images(number) for number in range(3)], "cuda"
    )
    found = torch.stack(
        [ensemble_step(trained, make_ensemble_batch(data, step)).loss for step in range(STEPS)]
    ).cpu()
    for number in range(3):
        alone, own = config(number, family), images(number)
        state = create_state(alone, CLASSES, SHAPE)
        losses = [train_step(state, make_batch(alone, step, own))["loss"] for step in range(STEPS)]
        torch.testing.assert_close(
            found[:, number], torch.stack(losses).detach(), rtol=tolerance, atol=tolerance
        )


@pytest.mark.filterwarnings("ignore:Synchronization debug mode:UserWarning")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_step_waits_for_nothing_and_repeats_nothing_for_each_model(precision: str) -> None:
    trained = ensemble("SiT", precision)
    data = ensemble_data(
        [each.config for each in trained.members], [images(number) for number in range(3)], "cuda"
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="There is a performance drop")
        for step in range(WARM_UP):
            ensemble_step(trained, make_ensemble_batch(data, step))
    with waiting_forbidden():
        for step in range(WARM_UP, WARM_UP + 3):
            ensemble_step(trained, make_ensemble_batch(data, step))


@pytest.mark.parametrize("method", ["heun", "sde"])
def test_samples_are_those_of_each_model(method: str) -> None:
    models = [state.ema for state in ensemble("SiT", "float32").members]
    source = torch.Generator().manual_seed(1)
    for parameter in (each for model in models for each in model.parameters()):
        parameter.data += (0.02 * torch.randn(parameter.shape, generator=source)).to(parameter)
    samplers = [SamplerConfig(num_steps=4, batch_size=8, method=method, seed=n) for n in (0, 1, 0)]
    indices = torch.arange(6)
    found = sample_models(models, "sit-linear", indices, samplers)
    for model, sampler, (made, labels) in zip(models, samplers, found, strict=True):
        expected, classes = sample_batch(model, "sit-linear", indices, sampler)
        assert torch.equal(labels, classes)
        assert (made.int() - expected.int()).abs().max() <= 1


def test_the_memory_of_the_forecast_is_enough() -> None:
    """As many models as would fit a small part of the memory take no more than that part."""
    alone = config(0).model_copy(
        update={"model": ModelConfig(name="SiT-demo/2"), "global_batch_size": 64}
    )
    budget = min(2 * 10**9, free_bytes("cuda") // 4)
    shape = (1, 16, 16)
    count = models_that_fit(alone, CLASSES, shape, budget)
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    states = [create_state(alone, CLASSES, shape, "cuda") for _ in range(count)]
    trained = ensemble_of(states)
    pixels = torch.zeros(20, *shape, dtype=torch.uint8)
    own = TrainingSet(Pixels(pixels), torch.arange(20) % CLASSES)
    data = ensemble_data([alone] * count, [own] * count, "cuda")
    torch.cuda.reset_peak_memory_stats()
    for step in range(2):
        ensemble_step(trained, make_ensemble_batch(data, step))
    assert torch.cuda.max_memory_allocated() - before <= budget
