"""What chance decides: fixed by (seed, step, position), whatever the number of workers."""

from dataclasses import replace

import pytest
import torch

from otcondense.diffusion.random_streams import DrawConfig, batch_indices, draw, stream

CONFIG = DrawConfig(seed=3, global_batch_size=12, label_drop=0.1, flip=True, image_shape=(1, 4, 4))


@pytest.mark.parametrize(("num_images", "batch"), [(10, 4), (10, 10), (3, 8), (1, 5)])
def test_each_pass_visits_every_image_once(num_images, batch):
    order = torch.cat(
        [
            batch_indices(0, num_images, range(step * batch, (step + 1) * batch))
            for step in range(num_images)
        ]
    )
    for epoch in order.view(-1, num_images):
        assert sorted(epoch.tolist()) == list(range(num_images))


def test_passes_differ():
    order = batch_indices(0, 100, range(200)).view(2, 100)
    assert not torch.equal(order[0], order[1])
    assert not torch.equal(order[0], batch_indices(1, 100, range(100)))


@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
def test_workers_cut_the_same_batch(world_size):
    whole = draw(CONFIG, 7, slice(None))
    share = 12 // world_size
    parts = [draw(CONFIG, 7, slice(rank * share, (rank + 1) * share)) for rank in range(world_size)]
    for name in ("noise", "uniform", "drop", "flip"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))


def test_steps_and_seeds_differ():
    first = draw(CONFIG, 0, slice(None))
    second = draw(CONFIG, 1, slice(None))
    assert not torch.equal(first.noise, second.noise)
    assert (
        len(
            {
                stream(seed, purpose, step)
                for seed in range(5)
                for purpose in range(3)
                for step in range(5)
            }
        )
        == 75
    )


def test_shares_of_dropped_and_flipped():
    large = DrawConfig(0, 20_000, 0.1, flip=True, image_shape=(1, 1, 1))
    draws = draw(large, 0, slice(None))
    assert float(draws.drop.float().mean()) == pytest.approx(0.1, abs=0.01)
    assert float(draws.flip.float().mean()) == pytest.approx(0.5, abs=0.02)
    both = float((draws.flip & draws.drop).float().mean())
    assert both == pytest.approx(0.05, abs=0.01)
    assert not draw(
        DrawConfig(0, 100, 0.1, flip=False, image_shape=(1, 1, 1)), 0, slice(None)
    ).flip.any()


@pytest.mark.parametrize("shift", [1.0, 3.0, 6.93])
def test_timesteps_are_shifted_towards_noise_and_nothing_else_is(shift):
    """In the papers' time, which is 1 for noise."""
    plain = draw(CONFIG, 7, slice(None))
    shifted = draw(replace(CONFIG, noise_shift=shift), 7, slice(None))
    share = 1 - plain.uniform
    expected = shift * share / (1 + (shift - 1) * share)
    torch.testing.assert_close(1 - shifted.uniform, expected, rtol=1e-5, atol=1e-6)
    assert (shifted.uniform < plain.uniform).all() == (shift > 1)
    for name in ("noise", "drop", "flip"):
        assert torch.equal(getattr(plain, name), getattr(shifted, name))
