"""The forecast against torch's own counters."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from otcondense.diffusion import (
    ModelConfig,
    SamplerConfig,
    TrainingConfig,
    build_model,
    create_state,
    sample_batch,
)
from otcondense.diffusion.attach import Attachments
from otcondense.diffusion.forecast import forecast_training, forward_flops, sampling_passes
from otcondense.diffusion.random_streams import Draws
from otcondense.diffusion.registry import default_objective
from otcondense.diffusion.training import Batch, batch_loss

SHAPE = (4, 32, 32)


def config(name="DiT-S/2", **settings):
    model = ModelConfig(name=name, depth=settings.pop("depth", None))
    return TrainingConfig(**{"model": model, "num_workers": 1, "global_batch_size": 4, **settings})


@pytest.mark.parametrize("name", ["DiT-S/2", "DiT-S/8"])
def test_arithmetic_is_what_torch_counts(name):
    model = build_model(ModelConfig(name=name), 1000, SHAPE)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.randn(1, *SHAPE), torch.rand(1), torch.tensor([1]))
    assert forward_flops(model) == pytest.approx(counter.get_total_flops(), rel=0.01)


@pytest.mark.parametrize(
    ("name", "gigaflops", "millions"), [("DiT-L/2", 484, 458.1), ("SiT-XL/2", 712, 675.1)]
)
def test_published_sizes(name, gigaflops, millions):
    found = forecast_training(
        config(name, num_steps=1, checkpoint_steps=(), global_batch_size=1), 1000, SHAPE
    )
    assert found.flops / 1e9 == pytest.approx(gigaflops, rel=0.01)
    assert found.parameters / 1e6 == pytest.approx(millions, abs=0.4)
    assert found.state_bytes == 20 * found.parameters


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["SiT-S/2", "DiT-B/4"])
def test_activations_are_what_autograd_keeps(name, precision):
    settings = config(name, precision=precision, depth=4)
    state = create_state(settings, 1000, SHAPE)
    kept = {}
    owned = {parameter.untyped_storage().data_ptr() for parameter in state.model.parameters()}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in owned:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    batch = Batch(
        torch.randn(4, *SHAPE),
        torch.arange(4),
        Draws(torch.randn(4, *SHAPE), torch.rand(4), *torch.zeros(2, 4, dtype=torch.bool)),
    )
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        batch_loss(state, batch)
    measured = sum(size for size, _ in kept.values())
    assert forecast_training(settings, 1000, SHAPE).activation_bytes == pytest.approx(
        measured, rel=0.1
    )


def test_parts_and_workers_divide_the_activations():
    whole, cut = (
        forecast_training(config(**settings), 10, SHAPE)
        for settings in ({}, {"accumulation": 2, "num_workers": 2})
    )
    assert whole.activation_bytes == 4 * cut.activation_bytes
    assert whole.state_bytes == cut.state_bytes


def test_attached_parts_count():
    settings = config("DiT-L/2", text=True, alignment={"depth": 8})
    parts = Attachments(torch.zeros(1000, 16, 2048, dtype=torch.float16), 768)
    assert forecast_training(settings, 1000, SHAPE, parts).parameters / 1e6 == pytest.approx(
        458.1 + 36.7 + 7.9, abs=0.5
    )


@pytest.mark.parametrize(
    ("family", "method", "passes"),
    [("SiT", "euler", 4), ("SiT", "heun", 8), ("DiT", "ddpm", 4), ("DiT", "ddim", 4)],
)
@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_forward_passes_of_a_sample(family, method, passes, scale):
    config = SamplerConfig(method=method, num_steps=4, cfg_scale=scale, batch_size=2)
    size = {"width": 16, "depth": 1, "num_heads": 2}
    model = build_model(ModelConfig(name=f"{family}-S/2", **size), 3, (3, 8, 8))
    seen = []
    model.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    sample_batch(model, default_objective(family), torch.arange(2), config)
    forecast = sampling_passes(config, method)
    assert forecast == passes * (1 if scale == 1 else 2)
    assert sum(seen) / 2 == forecast
