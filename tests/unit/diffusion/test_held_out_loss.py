"""The held-out loss: closed forms, fixed draws, and that it turns where a model memorises."""

import pytest
import torch

from otcondense.diffusion import ModelConfig, TrainingConfig, build_model, create_state, make_batch
from otcondense.diffusion import held_out_loss as module
from otcondense.diffusion.data import Pixels, TrainingSet
from otcondense.diffusion.held_out_loss import (
    LOSS_SEED,
    LOSS_TIMESTEPS,
    LossImages,
    evenly,
    mean_denoising_error,
)
from otcondense.diffusion.random_streams import LOSS, generator
from otcondense.diffusion.training import train_step
from otcondense.store.images import to_unit_range

SHAPE = (1, 8, 8)


def blobs(count: int, seed: int) -> torch.Tensor:
    """Return smooth pictures, so that a model can learn what they share."""
    generator_ = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 1, 2, 2, generator=generator_)
    return (torch.nn.functional.interpolate(coarse, (8, 8), mode="bilinear") * 255).byte()


def data(count: int = 9, seed: int = 0) -> LossImages:
    return LossImages.spread(blobs(count, seed), torch.arange(count) % 10, ())


def test_an_untrained_network_has_the_mean_square_of_its_target() -> None:
    images = data()
    noise = [
        torch.randn(LOSS_TIMESTEPS, *SHAPE, generator=generator(LOSS_SEED, LOSS, place))
        for place in range(len(images))
    ]
    dit = build_model(ModelConfig(name="DiT-demo/2"), 10, SHAPE).eval()
    sit = build_model(ModelConfig(name="SiT-demo/2"), 10, SHAPE).eval()
    expected = float(torch.stack(noise).square().mean())
    assert mean_denoising_error(dit, "dit", images) == pytest.approx(expected, rel=1e-5)
    velocity = to_unit_range(images.images)[:, None] - torch.stack(noise)
    found = mean_denoising_error(sit, "sit-linear", images)
    assert found == pytest.approx(float(velocity.square().mean()), rel=1e-5)


def test_every_image_has_one_timestep_in_each_part() -> None:
    _, uniform = module._draws(torch.arange(5), SHAPE, 0)
    parts = (uniform * LOSS_TIMESTEPS).floor().long()
    assert torch.equal(parts, torch.arange(LOSS_TIMESTEPS).expand(5, -1))


def test_the_draws_of_an_image_do_not_depend_on_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model(ModelConfig(name="SiT-demo/2"), 10, SHAPE).eval()
    whole = mean_denoising_error(model, "sit-linear", data(6))
    parts = []
    for place in range(6):
        one = torch.tensor([place])
        alone = LossImages(data(6).images[one], data(6).labels[one], one)
        parts.append(mean_denoising_error(model, "sit-linear", alone))
    assert sum(parts) / 6 == pytest.approx(whole, rel=1e-6)
    monkeypatch.setattr(module, "LOSS_BATCH", 2)
    assert mean_denoising_error(model, "sit-linear", data(6)) == pytest.approx(whole, rel=1e-6)
    assert mean_denoising_error(model, "sit-linear", data(6), seed=1) != whole


def test_large_sets_are_spread_over_all_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOSS_IMAGES", 4)
    labels = torch.arange(10).repeat_interleave(2)
    found = LossImages.spread(blobs(20, 0), labels, ())
    assert found.places.tolist() == [0, 6, 13, 19]
    trained = LossImages.spread(blobs(20, 0), labels, (2, 7))
    assert trained.places.tolist() == [4, 5, 14, 15]
    assert torch.equal(trained.labels, labels[trained.places])
    assert evenly(3, 4).tolist() == [0, 1, 2]
    assert len(LossImages.spread(blobs(20, 0), labels, (11,))) == 0


def test_memorisation_shows_while_training_loss_falls() -> None:
    """A model of four images comes to know them; its loss on others falls, then rises."""
    config = TrainingConfig(
        model=ModelConfig(name="SiT-demo/2", width=32, depth=2, num_heads=2),
        num_steps=400,
        checkpoint_steps=(),
        global_batch_size=16,
        learning_rate=4e-3,
        warmup_steps=10,
        ema_decay=0.9,
        num_workers=1,
    )
    state = create_state(config, 10, SHAPE)
    chosen, held_out = data(4), data(10, seed=1)
    own = TrainingSet(Pixels(chosen.images), chosen.labels)
    losses = []
    for step in range(121):
        train_step(state, make_batch(config, step, own))
        if step in (10, 30, 120):
            pair = (chosen, held_out)
            losses.append([mean_denoising_error(state.ema, "sit-linear", each) for each in pair])
    training, others = zip(*losses, strict=True)
    assert training[0] > training[1] > training[2]
    assert others[1] < min(others[0], others[2])
