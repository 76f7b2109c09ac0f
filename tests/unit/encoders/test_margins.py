"""Area under the margin: wrong labels are low, ends are known, the seed decides."""

import pytest
import torch
from torch import nn

from otcondense.encoders.margins import MarginConfig, area_under_margin, margins

CONFIG = MarginConfig(epochs=15, hidden_width=16, batch_size=32, learning_rate=1e-2)


def clouds(per_class=60, mislabelled=6):
    """Three well-separated clouds; the labels of a few images of the first are wrong."""
    source = torch.Generator().manual_seed(0)
    labels = torch.arange(3).repeat_interleave(per_class)
    x = 4 * torch.eye(3)[labels] + torch.randn(len(labels), 3, generator=source)
    labels[:mislabelled] = 1
    return x, labels


@pytest.mark.parametrize("hidden", [0, 16])
def test_wrong_labels_have_the_lowest_margins(hidden):
    x, labels = clouds()
    scores = area_under_margin(x, labels, 3, CONFIG.model_copy(update={"hidden_width": hidden}))
    assert set(scores.argsort()[:6].tolist()) == set(range(6))
    assert scores[:6].max() < 0 < scores[6:].median()
    assert scores.abs().max() <= 1


def test_margins_by_hand():
    class Given(nn.Module):
        def forward(self, x):
            return x.log()

    probabilities = torch.tensor([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1]])
    assert margins(Given(), probabilities, torch.tensor([0, 1]), 1).tolist() == pytest.approx(
        [0.5, -0.1], abs=1e-6
    )


def test_the_seed_decides_and_nothing_else():
    x, labels = clouds()
    first = area_under_margin(x, labels, 3, CONFIG)
    torch.randn(5)
    assert torch.equal(area_under_margin(x, labels, 3, CONFIG), first)
    assert not torch.equal(
        area_under_margin(x, labels, 3, CONFIG.model_copy(update={"seed": 1})), first
    )


def test_scale_and_shift_of_features_do_not_matter():
    x, labels = clouds()
    torch.testing.assert_close(
        area_under_margin(8 * x + 16, labels, 3, CONFIG),
        area_under_margin(x, labels, 3, CONFIG),
        rtol=1e-2,
        atol=1e-2,
    )
