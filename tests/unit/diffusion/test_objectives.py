"""Losses in closed form, with networks that know the answer, and their gradients."""

import math

import pytest
import torch

from otcondense.diffusion import ModelConfig
from otcondense.diffusion.gaussian_diffusion import linear_schedule
from otcondense.diffusion.objectives import load_objective
from otcondense.diffusion.registry import OBJECTIVES, resolve_objective
from otcondense.errors import InputError


@pytest.fixture
def data():
    torch.manual_seed(0)
    return (
        torch.rand(6, 1, 4, 4) * 2 - 1,
        torch.randn(6, 1, 4, 4),
        torch.linspace(0.01, 0.99, 6),
        torch.arange(6),
    )


@pytest.mark.parametrize("name", ["sit-linear", "sit-gvp"])
def test_velocity_loss_of_a_constant(name, data):
    """A network that returns zero has the loss |velocity|^2, and the velocity is d x_t / d t."""
    x, noise, uniform, labels = data
    path = load_objective(name).interpolant

    def path_point(t):
        return path.alpha(t.view(-1, 1, 1, 1)) * x + path.sigma(t.view(-1, 1, 1, 1)) * noise

    velocity = torch.autograd.functional.jvp(path_point, uniform, torch.ones(6))[1]
    losses = load_objective(name).losses(
        lambda x_t, _t, _labels: torch.zeros_like(x_t), x, noise, uniform, labels
    )
    torch.testing.assert_close(losses, velocity.square().mean(dim=(1, 2, 3)))
    perfect = load_objective(name).losses(
        lambda _x, _t, _labels: torch.cat([velocity, torch.full_like(x, 9.0)], dim=1),
        x,
        noise,
        uniform,
        labels,
    )
    torch.testing.assert_close(perfect, torch.zeros(6))


def test_velocity_input_is_t_and_the_noisy_image(data):
    x, noise, uniform, labels = data
    seen = {}

    def network(x_t, t, y):
        seen.update(x_t=x_t, t=t, labels=y)
        return x_t

    load_objective("sit-linear").losses(network, x, noise, uniform, labels)
    torch.testing.assert_close(
        seen["x_t"], uniform.view(-1, 1, 1, 1) * x + (1 - uniform.view(-1, 1, 1, 1)) * noise
    )
    assert torch.equal(seen["t"], uniform)
    assert torch.equal(seen["labels"], labels)


def test_noise_loss_of_the_truth(data):
    """The true noise with the smallest variance: no error, and no divergence from the posterior."""
    x, noise, uniform, labels = data
    losses = load_objective("dit").losses(
        lambda _x, _t, _y: torch.cat([noise, -torch.ones_like(noise)], dim=1),
        x,
        noise,
        uniform,
        labels,
    )
    torch.testing.assert_close(losses, torch.zeros(6), atol=1e-4, rtol=0)


def test_noise_loss_of_a_wrong_noise(data):
    """The squared error plus the divergence of two Gaussians of equal variance, in bits."""
    x, noise, _, labels = data
    schedule = linear_schedule()
    step = 400
    shift = 0.3
    uniform = torch.full((6,), (step + 0.5) / 1000)
    losses = load_objective("dit").losses(
        lambda _x, _t, _y: torch.cat([noise + shift, -torch.ones_like(noise)], dim=1),
        x,
        noise,
        uniform,
        labels,
    )
    beta, kept, previous = (
        float(table[step]) for table in (schedule.betas, schedule.alphas_cumprod, schedule.previous)
    )
    mean_shift = beta * math.sqrt(previous) / (1 - kept) * math.sqrt(1 / kept - 1) * shift
    bound = 0.5 * mean_shift**2 / float(schedule.posterior_variance[step]) / math.log(2)
    torch.testing.assert_close(losses, torch.full((6,), shift**2 + bound), rtol=1e-3, atol=0)


def test_variance_gradient_does_not_reach_the_noise(data):
    """The bound trains the variance only: the noise output gets the squared error's gradient."""
    x, noise, uniform, labels = data
    output = torch.randn(6, 2, 4, 4, requires_grad=True)
    load_objective("dit").losses(
        lambda _x, _t, _y: output, x, noise, uniform, labels
    ).sum().backward()
    expected = 2 * (output.detach()[:, :1] - noise) / 16
    torch.testing.assert_close(output.grad[:, :1], expected)
    assert output.grad[:, 1:].abs().min() > 0


def test_timesteps_cover_the_schedule():
    seen = []
    uniform = (torch.arange(1000) + 0.5) / 1000
    x = torch.zeros(1000, 1, 2, 2)

    def network(x_t, t, _labels):
        seen.append(t)
        return torch.cat([x_t, x_t], dim=1)

    load_objective("dit").losses(network, x, x, uniform, torch.zeros(1000, dtype=torch.long))
    assert torch.equal(seen[0], torch.arange(1000.0))


@pytest.mark.parametrize(
    ("name", "model", "expected"),
    [
        ("auto", "SiT-demo/2", "sit-linear"),
        ("auto", "DiT-demo/2", "dit"),
        ("sit-gvp", "SiT-S/2", "sit-gvp"),
    ],
)
def test_registry(name, model, expected):
    assert resolve_objective(name, ModelConfig(name=model)) == expected


def test_unknown_objective():
    known = ", ".join(("auto", *OBJECTIVES))
    with pytest.raises(InputError, match=f"{known}; found 'vp'"):
        resolve_objective("vp", ModelConfig())


def test_time_conventions_differ():
    published = ("sit-linear", "sit-gvp", "dit")
    assert len({load_objective(name).time_convention for name in published}) == len(published)
