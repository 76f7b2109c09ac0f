import math

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from scipy.stats import entropy as scipy_entropy

from otcondense.encoders import cross_entropy, entropy, max_prob


@pytest.fixture
def logits():
    return torch.from_numpy(np.random.default_rng(0).normal(0, 4, (50, 7)).astype(np.float32))


def test_values_agree_with_scipy(logits):
    labels = torch.arange(50) % 7
    log_p = log_softmax(logits.double().numpy(), axis=1)
    np.testing.assert_allclose(
        cross_entropy(logits, labels), -log_p[np.arange(50), labels], rtol=1e-6
    )
    np.testing.assert_allclose(entropy(logits), scipy_entropy(np.exp(log_p), axis=1), rtol=1e-6)
    np.testing.assert_allclose(max_prob(logits), np.exp(log_p.max(1)), rtol=1e-6)


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_a_classifier_that_knows_nothing(classes):
    flat = torch.zeros(3, classes)
    expected = torch.full((3,), math.log(classes))
    torch.testing.assert_close(cross_entropy(flat, torch.arange(3) % classes), expected)
    torch.testing.assert_close(entropy(flat), expected)
    torch.testing.assert_close(max_prob(flat), torch.full((3,), 1 / classes))


def test_a_very_sure_classifier_keeps_its_digits():
    sure = torch.tensor([[20.0, 0.0], [200.0, 0.0], [2000.0, 0.0]])
    right, wrong = (
        cross_entropy(sure, torch.zeros(3, dtype=torch.int64)),
        cross_entropy(sure, torch.ones(3, dtype=torch.int64)),
    )
    assert right[0].item() == pytest.approx(math.exp(-20), rel=1e-5)
    assert (right >= 0).all()
    torch.testing.assert_close(wrong, torch.tensor([20.0, 200.0, 2000.0]))
    assert torch.isfinite(entropy(sure)).all()
    assert entropy(sure)[2].item() == 0
