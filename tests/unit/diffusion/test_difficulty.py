"""Denoising difficulty: closed forms, independence of the batch, ranking by a trained model."""

import pytest
import torch

from otcondense.diffusion import ModelConfig, build_model, create_state, make_batch, train_step
from otcondense.diffusion.difficulty import DenoisingConfig, denoising_errors, score_times
from otcondense.diffusion.random_streams import SCORE, generator
from otcondense.errors import InputError
from otcondense.store.images import to_unit_range

SHAPE = (1, 8, 8)


def noises(config):
    return [
        torch.randn(SHAPE, generator=generator(config.seed, SCORE, number))
        for number in range(config.num_timesteps)
    ]


def test_times_lie_in_the_middle_of_equal_parts():
    assert score_times(DenoisingConfig(num_timesteps=4)) == [0.125, 0.375, 0.625, 0.875]


def test_an_untrained_network():
    """Before training its output is 0: the errors are mean squares of the noise or the velocity."""
    config = DenoisingConfig(num_timesteps=3, batch_size=4)
    x = torch.randn(5, *SHAPE)
    labels = torch.arange(5)
    dit = build_model(ModelConfig(name="DiT-demo/2"), 10, SHAPE).eval()
    sit = build_model(ModelConfig(name="SiT-demo/2"), 10, SHAPE).eval()
    of_noise = float(torch.stack([noise.square().mean() for noise in noises(config)]).mean())
    assert denoising_errors(dit, "dit", x, labels, config).tolist() == pytest.approx(
        [of_noise] * 5, rel=1e-5
    )
    errors = [(x - noise).square().flatten(1).mean(dim=1) for noise in noises(config)]
    velocity = torch.stack(errors).mean(dim=0)
    torch.testing.assert_close(denoising_errors(sit, "sit-linear", x, labels, config), velocity)


@pytest.mark.parametrize(("family", "objective"), [("DiT", "dit"), ("SiT", "sit-linear")])
def test_a_trained_model_has_larger_errors_on_other_images(family, objective, tiny_config, digits):
    state = create_state(
        tiny_config(family, global_batch_size=16, learning_rate=4e-3, ema_decay=0.9), 10, SHAPE
    )
    for step in range(150):
        train_step(state, make_batch(state.config, step, digits))
    x = torch.cat(
        [
            to_unit_range(digits.source.images[:10]),
            torch.rand(10, *SHAPE, generator=torch.Generator().manual_seed(0)) * 2 - 1,
        ]
    )
    labels = digits.labels[:10].repeat(2)
    errors = denoising_errors(state.ema, objective, x, labels, DenoisingConfig())
    assert errors[:10].max() < errors[10:].min()


def test_other_batches_give_the_same_scores(tiny_config, digits):
    state = create_state(tiny_config(), 10, SHAPE)
    for step in range(3):
        train_step(state, make_batch(state.config, step, digits))
    x = to_unit_range(digits.source.images)
    config = DenoisingConfig(batch_size=7, num_timesteps=2)
    whole = denoising_errors(state.ema, "sit-linear", x, digits.labels, config)
    assert torch.equal(denoising_errors(state.ema, "sit-linear", x, digits.labels, config), whole)
    part = denoising_errors(state.ema, "sit-linear", x[10:13], digits.labels[10:13], config)
    torch.testing.assert_close(part, whole[10:13], rtol=1e-5, atol=1e-6)


def test_unknown_classes():
    model = build_model(ModelConfig(), 10, SHAPE).eval()
    with pytest.raises(InputError, match="classes 0 to 9, found class 12"):
        denoising_errors(
            model, "sit-linear", torch.zeros(2, *SHAPE), torch.tensor([1, 12]), DenoisingConfig()
        )
