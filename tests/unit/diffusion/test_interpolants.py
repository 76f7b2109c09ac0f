"""Interpolants: ends, and derivatives against autograd."""

import pytest
import torch

from otcondense.diffusion.interpolants import GeneralizedVariancePreserving, Linear

PATHS = [Linear(), GeneralizedVariancePreserving()]


@pytest.mark.parametrize("path", PATHS)
def test_from_noise_to_data(path):
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(path.alpha(ends), ends)
    torch.testing.assert_close(path.sigma(ends), 1 - ends)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("value", "derivative"), [("alpha", "alpha_derivative"), ("sigma", "sigma_derivative")]
)
def test_derivatives(path, value, derivative):
    t = torch.linspace(0, 1, 11, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(getattr(path, value)(t).sum(), t)
    torch.testing.assert_close(getattr(path, derivative)(t), expected)


def test_variance_preserving():
    path = PATHS[1]
    t = torch.linspace(0, 1, 11)
    torch.testing.assert_close(path.alpha(t) ** 2 + path.sigma(t) ** 2, torch.ones(11))
