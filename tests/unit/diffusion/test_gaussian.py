"""The Gaussian diffusion against Bayes' rule, torch.distributions and sums that must be 1."""

import math

import pytest
import torch

from otcondense.diffusion.gaussian_diffusion import (
    PIXEL_STEP,
    discretized_log_likelihood,
    linear_schedule,
    normal_kl,
    respaced_schedule,
    variational_bound,
)


def images(*values):
    return torch.tensor(values, dtype=torch.float64).view(-1, 1, 1, 1)


def test_schedule_ends():
    schedule = linear_schedule()
    assert schedule.betas[0] == pytest.approx(1e-4)
    assert schedule.betas[-1] == pytest.approx(0.02)
    assert schedule.alphas_cumprod[-1] == pytest.approx(4.0358e-05, rel=1e-3)


@pytest.mark.parametrize("step", [1, 250, 999])
def test_posterior_is_bayes_rule(step):
    """q(x_{t-1} | x_t, x_0) ~ q(x_t | x_{t-1}) q(x_{t-1} | x_0): precisions add."""
    schedule = linear_schedule()
    beta = float(schedule.betas[step])
    kept = float(schedule.alphas_cumprod[step - 1])
    x = 0.3
    x_t = -0.7
    precision = (1 - beta) / beta + 1 / (1 - kept)
    mean = (math.sqrt(1 - beta) / beta * x_t + math.sqrt(kept) / (1 - kept) * x) / precision
    t = torch.tensor([step])
    assert float(schedule.posterior_variance[step]) == pytest.approx(1 / precision)
    assert float(schedule.posterior_mean(images(x), images(x_t), t)) == pytest.approx(mean)


def test_noise_and_data_invert_each_other():
    schedule = linear_schedule()
    t = torch.tensor([0, 400, 999])
    x = images(0.5, -1.0, 0.1)
    noise = images(1.0, -2.0, 0.3)
    torch.testing.assert_close(schedule.data_from_noise(schedule.noised(x, noise, t), noise, t), x)


@pytest.mark.parametrize("num_steps", [2, 7, 50, 1000])
def test_respacing_keeps_the_marginals(num_steps):
    full = linear_schedule()
    spaced = respaced_schedule(num_steps)
    assert len(spaced.betas) == num_steps
    assert spaced.timesteps[0] == 0
    assert spaced.timesteps[-1] == 999
    torch.testing.assert_close(spaced.alphas_cumprod, full.alphas_cumprod[spaced.timesteps])


def test_kl_against_torch():
    means, logs = torch.randn(2, 20, dtype=torch.float64), torch.randn(2, 20, dtype=torch.float64)
    first, second = (
        torch.distributions.Normal(mean, (0.5 * log).exp())
        for mean, log in zip(means, logs, strict=True)
    )
    torch.testing.assert_close(
        normal_kl(means[0], logs[0], means[1], logs[1]),
        torch.distributions.kl_divergence(first, second),
    )


@pytest.mark.parametrize(("mean", "log_variance"), [(0.0, -2.0), (-0.98, -6.0), (0.7, 0.5)])
def test_discretized_likelihood_sums_to_one(mean, log_variance):
    bins = torch.linspace(-1, 1, 256, dtype=torch.float64)
    assert bins[1] - bins[0] == pytest.approx(PIXEL_STEP)
    total = (
        discretized_log_likelihood(bins, torch.tensor(mean), torch.tensor(log_variance)).exp().sum()
    )
    assert float(total) == pytest.approx(1, abs=1e-6)


def test_learned_variance_ends():
    schedule = linear_schedule()
    t = torch.tensor([5])
    assert float(schedule.learned_log_variance(images(1.0), t)) == pytest.approx(
        math.log(schedule.betas[5])
    )
    assert float(schedule.learned_log_variance(images(-1.0), t)) == pytest.approx(
        math.log(schedule.posterior_variance[5])
    )


def test_bound_of_the_true_posterior_is_zero():
    schedule = linear_schedule()
    t = torch.tensor([300])
    x = images(0.2)
    x_t = images(0.9)
    log_variance = schedule.posterior_variance[300].log().view(1, 1, 1, 1)
    mean = schedule.posterior_mean(x, x_t, t)
    assert float(variational_bound(schedule, (x, x_t), (mean, log_variance), t)) == pytest.approx(
        0, abs=1e-12
    )
    shifted = variational_bound(
        schedule, (x, x_t), (mean + log_variance.mul(0.5).exp(), log_variance), t
    )
    assert float(shifted) == pytest.approx(0.5 / math.log(2))
